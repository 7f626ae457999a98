"""Pulls messages of one durable consumer continuously, never more than the process can run.

Owns credits, pull requests and the tasks that run deliveries. A batch fetch waits for its slowest
message; this asks for as many messages as there are free slots, and again as slots come free.
Source: NATS ADR-13 (pull requests and their status messages), ADR-37 (continuous consume).
"""

import asyncio
import json
import time
from datetime import timedelta

import structlog
from nats.aio.msg import Msg

from pointsman.contracts.topology import Consumer
from pointsman.runtime.nats_transport import NatsTransport
from pointsman.runtime.transport import OnMessage

log = structlog.get_logger()

EXPIRES_S = 20.0
"""How long one pull request stays open at the server."""

TICK_S = 1.0
RETRY_S = 0.25
"""Pause after the server refused a pull request (no leader, no consumer yet)."""

STATUS = "Status"


class JetStreamMessage:
    """One delivery from JetStream, as ``Inbound``."""

    def __init__(self, message: Msg) -> None:
        self._message = message
        metadata = message.metadata
        self.deliveries = metadata.num_delivered or 1
        self.stream = metadata.stream
        self.stream_sequence = metadata.sequence.stream
        self.subject = message.subject
        self.data = message.data
        self.headers = message.headers or {}

    async def ack(self) -> None:
        await self._message.ack()

    async def nak(self, delay: timedelta) -> None:
        await self._message.nak(delay.total_seconds())

    async def term(self) -> None:
        await self._message.term()

    async def in_progress(self) -> None:
        await self._message.in_progress()


class PullLoop:
    """Feeds ``on_message`` from one consumer until stopped.

    ``on_message`` settles its message and never raises but CancelledError.
    """

    def __init__(self, transport: NatsTransport, consumer: Consumer, on_message: OnMessage) -> None:
        self._client = transport.client
        self._consumer = consumer
        self._on_message = on_message
        self._inbox = self._client.new_inbox()
        self._requests: dict[str, tuple[int, float]] = {}
        self._next_request = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._wake = asyncio.Event()
        self._stopping = False
        self._not_before = 0.0
        transport.on_reconnect(self._forget_requests)

    @property
    def running(self) -> int:
        """How many handlers run now."""
        return len(self._tasks)

    async def run(self) -> None:
        """Pull until ``stop``; the subscription is closed then, running handlers go on."""
        subscription = await self._client.subscribe(f"{self._inbox}.*", cb=self._received)
        log.info("consumer.started", stream=self._consumer.stream, consumer=self._consumer.durable)
        try:
            while not self._stopping:
                self._wake.clear()
                await self._request_free_slots()
                try:
                    async with asyncio.timeout(TICK_S):
                        await self._wake.wait()
                except TimeoutError:
                    self._forget_expired()
        finally:
            await subscription.unsubscribe()

    def stop(self) -> None:
        """Ask for no more messages."""
        self._stopping = True
        self._wake.set()

    async def drain(self, patience: timedelta) -> None:
        """Wait for running handlers; cancel, and so nak, those that outlast ``patience``."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=patience.total_seconds())
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _request_free_slots(self) -> None:
        limit = self._consumer.concurrency
        free = limit - len(self._tasks) - sum(left for left, _ in self._requests.values())
        # Few larger requests cost less than one for each slot that comes free.
        worthwhile = free > 0 if not self._requests else free >= max(1, limit // 4)
        if not worthwhile or not self._client.is_connected or time.monotonic() < self._not_before:
            return
        self._next_request += 1
        reply = f"{self._inbox}.{self._next_request}"
        self._requests[reply] = (free, time.monotonic() + EXPIRES_S + 2 * TICK_S)
        subject = f"$JS.API.CONSUMER.MSG.NEXT.{self._consumer.stream}.{self._consumer.durable}"
        body = {"batch": free, "expires": int(EXPIRES_S * 1e9)}
        await self._client.publish(subject, json.dumps(body).encode(), reply=reply)

    async def _received(self, message: Msg) -> None:
        if message.headers and STATUS in message.headers and not message.reply:
            self._refused(message)
            return
        self._use_credit()
        delivered = JetStreamMessage(message)
        if self._stopping:
            await delivered.nak(timedelta(0))
            return
        task = asyncio.create_task(self._run_one(delivered))
        self._tasks.add(task)
        task.add_done_callback(self._finished)

    def _use_credit(self) -> None:
        """Count one message against the oldest request: the server serves them in order.

        A message carries its stream's subject, not the reply subject of the request it answers.
        """
        for reply, (left, expires) in self._requests.items():
            if left > 1:
                self._requests[reply] = (left - 1, expires)
            else:
                del self._requests[reply]
                self._wake.set()
            return

    async def _run_one(self, message: JetStreamMessage) -> None:
        await self._on_message(message)

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._wake.set()
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("consumer.task_failed", error=type(error).__name__, exc_info=error)

    def _refused(self, message: Msg) -> None:
        """A pull request ended: expired (408), no leader or responder (503), or changed (409)."""
        self._requests.pop(message.subject, None)
        status = (message.headers or {}).get(STATUS, "")
        if status not in {"404", "408"}:
            self._not_before = time.monotonic() + RETRY_S
            log.debug("consumer.pull_refused", consumer=self._consumer.durable, status=status)
        self._wake.set()

    def _forget_expired(self) -> None:
        now = time.monotonic()
        self._requests = {r: v for r, v in self._requests.items() if v[1] > now}

    async def _forget_requests(self) -> None:
        """A new connection: the server has forgotten our pull requests."""
        self._requests.clear()
        self._wake.set()
