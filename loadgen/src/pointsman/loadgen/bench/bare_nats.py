"""The reference: the same durable hops with nats-py and nothing else, in one process.

A request is published to the first work subject and passes each hop: publish the next with its
``Nats-Msg-Id``, await the PubAck, ack. The last hop publishes an event, which another stream keeps
and another consumer acks. Work is a work queue, both streams are on disk, consumers are durable and
pulled with standing requests. It parses nothing, decides nothing and logs nothing.
"""

import asyncio
import gc
import itertools
import json
import time
from collections.abc import Awaitable, Callable

import click
import nats
import uvloop
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js import JetStreamContext
from nats.js.api import AckPolicy, ConsumerConfig, RetentionPolicy, StorageType, StreamConfig

from pointsman.loadgen.bench.figures import percentiles
from pointsman.loadgen.bench.workers import Job, Result, Say, serve_jobs

WORK, EVENTS = "BARE_WORK", "BARE_EVENTS"
ID = "Nats-Msg-Id"
DUPLICATE_WINDOW_S = 600.0
PULL = 256
EXPIRES_NS = 20_000_000_000
SETTLE_S = 10.0

Handle = Callable[[Msg], Awaitable[None]]


class Consumer:
    """Keeps pull requests standing and gives every message a task."""

    def __init__(self, client: Client, stream: str, durable: str, handle: Handle) -> None:
        self._client = client
        self._next = f"$JS.API.CONSUMER.MSG.NEXT.{stream}.{durable}"
        self._handle = handle
        self._inbox = client.new_inbox()
        self._asked = json.dumps({"batch": PULL, "expires": EXPIRES_NS}).encode()
        self._left = 0
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        await self._client.subscribe(self._inbox, cb=self._received)
        await self._ask()

    async def _ask(self) -> None:
        self._left += PULL
        await self._client.publish(self._next, self._asked, reply=self._inbox)

    async def _received(self, message: Msg) -> None:
        headers = message.headers or {}
        if "Status" in headers:
            # The request has expired; what it did not bring is no longer asked for.
            self._left -= int(headers.get("Nats-Pending-Messages", 0))
        else:
            self._left -= 1
            task = asyncio.ensure_future(self._handle(message))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        if self._left <= PULL // 2:
            await self._ask()


class Bare:
    """The chain of hops, and the closed loop that drives it."""

    def __init__(self, client: Client, *, hops: int, body_bytes: int) -> None:
        self._client = client
        self._bus: JetStreamContext = client.jetstream(timeout=10)
        self._hops = hops
        self._body = b"x" * body_bytes
        self._ids = itertools.count(time.monotonic_ns())
        self._waiting: dict[str, asyncio.Future[None]] = {}

    async def start(self) -> None:
        """Make the streams and consumers, and begin to pull."""
        subjects = [f"bare.work.{hop}" for hop in range(self._hops)]
        await self._add_stream(WORK, subjects, RetentionPolicy.WORK_QUEUE)
        await self._add_stream(EVENTS, ["bare.event"], RetentionPolicy.LIMITS)
        for hop, subject in enumerate(subjects):
            await self._consume(WORK, f"hop{hop}", subject, self._handler(hop))
        await self._consume(EVENTS, "event", "bare.event", _ack)

    async def _add_stream(self, name: str, subjects: list[str], retention: RetentionPolicy) -> None:
        await self._bus.add_stream(
            StreamConfig(
                name=name,
                subjects=subjects,
                retention=retention,
                storage=StorageType.FILE,
                duplicate_window=DUPLICATE_WINDOW_S,
            )
        )

    async def _consume(self, stream: str, durable: str, subject: str, handle: Handle) -> None:
        config = ConsumerConfig(
            durable_name=durable,
            filter_subject=subject,
            ack_policy=AckPolicy.EXPLICIT,
            max_ack_pending=5000,
        )
        await self._bus.add_consumer(stream, config)
        await Consumer(self._client, stream, durable, handle).start()

    def _handler(self, hop: int) -> Handle:
        async def handle(message: Msg) -> None:
            request = (message.headers or {})[ID].partition(".")[0]
            if hop + 1 < self._hops:
                await self._publish(f"bare.work.{hop + 1}", f"{request}.{hop + 1}")
                await message.ack()
                return
            await self._publish("bare.event", f"{request}.event")
            await message.ack()
            waiting = self._waiting.pop(request, None)
            if waiting is not None and not waiting.done():
                waiting.set_result(None)

        return handle

    async def _publish(self, subject: str, message_id: str) -> None:
        await self._bus.publish(subject, self._body, headers={ID: message_id})

    async def request(self) -> None:
        """Send one request through all hops."""
        request = str(next(self._ids))
        waiting = asyncio.get_running_loop().create_future()
        self._waiting[request] = waiting
        await self._publish("bare.work.0", f"{request}.0")
        await waiting

    async def run(self, job: Job, say: Say) -> Result:
        """Keep ``concurrency`` requests open and count those that end inside the window."""
        latencies: list[float] = []
        answered = 0
        counting = stopping = False

        async def one_client() -> None:
            nonlocal answered
            while not stopping:
                begun = time.perf_counter()
                await self.request()
                answered += 1
                if counting:
                    latencies.append(time.perf_counter() - begun)

        gc.collect()
        say("begin")
        clients = [asyncio.create_task(one_client()) for _ in range(int(job["concurrency"]))]
        await asyncio.sleep(float(job["warmup_s"]))
        counting, begun = True, time.perf_counter()
        await asyncio.sleep(float(job["duration_s"]))
        counting, seconds = False, time.perf_counter() - begun
        stopping = True
        _, late = await asyncio.wait(clients, timeout=SETTLE_S)
        for task in late:
            task.cancel()
        say("end")
        return {
            "answered": answered,
            "completed": len(latencies),
            "seconds": seconds,
            "rate": len(latencies) / seconds,
            "latency_ms": {k: v * 1000 for k, v in percentiles(latencies).items()},
            "errors": {"no answer": len(late)} if late else {},
        }


async def _ack(message: Msg) -> None:
    await message.ack()


async def _main(url: str, hops: int, body_bytes: int) -> None:
    client = await nats.connect(url)
    try:
        bare = Bare(client, hops=hops, body_bytes=body_bytes)
        await bare.start()
        await serve_jobs(bare.run)
    finally:
        await client.close()


@click.command()
@click.option("--url", required=True)
@click.option("--hops", type=int, required=True)
@click.option("--body-bytes", type=int, default=1000, show_default=True)
def main(url: str, hops: int, body_bytes: int) -> None:
    """Run closed loops over bare durable hops, as standard input asks."""
    uvloop.run(_main(url, hops, body_bytes))


if __name__ == "__main__":
    main()
