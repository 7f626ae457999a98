"""Pulls messages of one durable consumer continuously, never more than the process can run.

Owns credits, pull requests and the tasks that run deliveries. A batch fetch waits for its slowest
message; this asks for as many messages as there are free slots, and again as slots come free.
Source: NATS ADR-13 (pull requests and their status messages), ADR-37 (continuous consume).
"""

import asyncio
import json
import time
from collections.abc import Mapping
from datetime import timedelta

import structlog
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from pointsman.contracts.topology import Consumer
from pointsman.runtime.nats_transport import NatsTransport
from pointsman.runtime.transport import OnMessage

log = structlog.get_logger()

EXPIRES_S = 20.0
"""How long one pull request stays open at the server."""

TICK_S = 1.0
SAY_EVERY_S = 10.0
RETRY_S = 0.25
"""Pause after the server refused a pull request (no leader, no consumer yet)."""

STATUS = "Status"
PENDING = "Nats-Pending-Messages"
"""How many messages of a pull request were not delivered."""


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

    def __init__(
        self,
        transport: NatsTransport,
        consumer: Consumer,
        on_message: OnMessage,
        *,
        concurrency: int,
    ) -> None:
        self._client = transport.client
        self._consumer = consumer
        self._limit = concurrency
        self._on_message = on_message
        self._subscription: Subscription | None = None
        self._inbox = ""
        self._credits = 0
        self._asked_at = 0.0
        self._tasks: set[asyncio.Task[None]] = set()
        self._wake = asyncio.Event()
        self._stopping = False
        self._not_before = 0.0
        self._said_at = -SAY_EVERY_S
        self._is_stale = True
        transport.on_reconnect(self._reconnected)

    async def run(self) -> None:
        """Pull until ``stop``; the subscription is closed then, running handlers go on."""
        log.info("consumer.started", stream=self._consumer.stream, consumer=self._consumer.durable)
        try:
            while not self._stopping:
                self._wake.clear()
                if self._is_stale and self._client.is_connected:
                    await self._renew()
                await self._request_free_slots()
                try:
                    async with asyncio.timeout(TICK_S):
                        await self._wake.wait()
                except TimeoutError:
                    self._forget_expired()
        finally:
            await self._unsubscribe()

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

    async def _renew(self) -> None:
        """Listen on a new inbox without any credit, so that no older request counts any more.

        After a reconnect the server may have forgotten the requests, or may not: if only the
        connection broke, they come alive again with the old inbox.
        """
        await self._unsubscribe()
        self._inbox = self._client.new_inbox()
        self._subscription = await self._client.subscribe(self._inbox, cb=self._received)
        self._credits = 0
        self._is_stale = False

    async def _reconnected(self) -> None:
        self._is_stale = True
        self._wake.set()

    async def _unsubscribe(self) -> None:
        subscription, self._subscription = self._subscription, None
        if subscription is not None and not self._client.is_closed:
            await subscription.unsubscribe()

    async def _request_free_slots(self) -> None:
        free = self._limit - len(self._tasks) - self._credits
        # Few larger requests cost less than one for each slot that comes free.
        worthwhile = free > 0 if self._credits <= 0 else free >= max(1, self._limit // 4)
        now = time.monotonic()
        if not worthwhile or not self._client.is_connected or now < self._not_before:
            return
        self._credits += free
        self._asked_at = now
        subject = f"$JS.API.CONSUMER.MSG.NEXT.{self._consumer.stream}.{self._consumer.durable}"
        body = {"batch": free, "expires": int(EXPIRES_S * 1e9)}
        await self._client.publish(subject, json.dumps(body).encode(), reply=self._inbox)

    async def _received(self, message: Msg) -> None:
        if message.headers and STATUS in message.headers and not message.reply:
            self._refused(message.headers)
            return
        self._credits = max(0, self._credits - 1)
        delivered = JetStreamMessage(message)
        if self._stopping:
            await delivered.nak(timedelta(0))
            return
        task = asyncio.create_task(self._handle(delivered))
        self._tasks.add(task)
        task.add_done_callback(self._finished)
        if self._credits <= 0:
            self._wake.set()

    async def _handle(self, message: JetStreamMessage) -> None:
        await self._on_message(message)

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._wake.set()
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("consumer.task_failed", error=type(error).__name__, exc_info=error)

    def _refused(self, headers: Mapping[str, str]) -> None:
        """A pull request ended: expired (408), changed (409), no leader or responder (503)."""
        status = headers.get(STATUS, "")
        if (left := headers.get(PENDING)) is not None:
            self._credits = max(0, self._credits - int(left))
        else:
            # Not here: closing a subscription cancels the task that runs its callback.
            self._is_stale = True
        if status not in {"404", "408"}:
            self._not_before = time.monotonic() + RETRY_S
            self._say_refused(status)
        self._wake.set()

    def _say_refused(self, status: str) -> None:
        """Once a while: a stream that is not there at all refuses several times a second."""
        if time.monotonic() > self._said_at + SAY_EVERY_S:
            self._said_at = time.monotonic()
            log.warning(
                "consumer.unavailable",
                stream=self._consumer.stream,
                consumer=self._consumer.durable,
                status=status,
                hint="run `pointsman provision` if this bus is new",
            )

    def _forget_expired(self) -> None:
        """Every request is older than it may be: what it left is gone, told or not."""
        if self._credits and time.monotonic() > self._asked_at + EXPIRES_S + 2 * TICK_S:
            self._credits = 0
