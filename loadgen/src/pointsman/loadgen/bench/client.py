"""The load client as a process of its own: closed and open loop over keep-alive connections.

Owns when requests are sent and what is counted: those that end inside the measured window.
A closed loop keeps N requests open. An open loop sends at a fixed rate whatever comes back, and
counts latency from the moment a request should have been sent.
"""

import asyncio
import gc
from collections import Counter, deque
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import uvloop

from pointsman.loadgen.bench.exchange import (
    CLOCK_PROMPT,
    Connection,
    Reply,
    clock,
    payload_maker,
)
from pointsman.loadgen.bench.figures import percentiles
from pointsman.loadgen.bench.prompts import PLUMBING, Prompts, document_of, load_prompts
from pointsman.loadgen.bench.workers import Job, Result, Say, serve_jobs

SETTLE_S = 10.0
"""How long no answer may come to what is open after the window; then the rest counts as lost."""

FULL_TURN_S = 45.0
"""How long the warm-up waits until each connection has had an answer."""

REDIAL_S = 0.1
TURNS, LONGER = 2, 3.0
LOOK_S = 0.005
MAX_CONNECTIONS = 2048
TICK_S = 0.001


class Tally:
    """What ended inside the window."""

    def __init__(self) -> None:
        self.is_counting = False
        self.completed = 0
        self.latencies: list[float] = []
        self.first_tokens: list[float] = []
        self.token_gaps: list[float] = []
        self.token_delays: list[float] = []
        self.errors: Counter[str] = Counter()
        self.escalated = self.flagged = 0

    def take(self, reply: Reply, sent_for: float) -> None:
        self.completed += 1
        if not self.is_counting:
            return
        if reply.status != 200:
            self.errors[str(reply.status or "connection lost")] += 1
            return
        self.latencies.append(clock() - sent_for)
        self.escalated += reply.is_escalated
        self.flagged += reply.is_flagged
        if reply.first_token_at:
            self.first_tokens.append(reply.first_token_at - sent_for)
        if reply.tokens > 1:
            span = reply.last_token_at - reply.first_token_at
            self.token_gaps.append(span / (reply.tokens - 1))
        self.token_delays += reply.token_delays_s

    def result(self, seconds: float, used: int) -> Result:
        return {
            "completed": len(self.latencies),
            "answered": self.completed,
            "seconds": seconds,
            "rate": len(self.latencies) / seconds,
            "latency_ms": _ms(self.latencies),
            "first_token_ms": _ms(self.first_tokens),
            "token_gap_ms": _ms(self.token_gaps),
            "token_delay_ms": _ms(self.token_delays),
            "errors": dict(self.errors),
            "escalated": self.escalated,
            "flagged": self.flagged,
            "prompts_used": used,
        }


def _ms(seconds: list[float]) -> dict[str, float]:
    return {name: value * 1000 for name, value in percentiles(seconds).items()} if seconds else {}


class Run:
    """One point of one contender; implements ``Load``."""

    def __init__(self, job: Job, prompts: Iterator[str]) -> None:
        self._port = int(job["port"])
        self._rate = float(job["rate"])
        self._is_stream = bool(job.get("stream"))
        self._reads_clock = job["prompts"] == "clock"
        self._concurrency = int(job["concurrency"])
        self._payload = payload_maker(self._port, job["model"], is_stream=self._is_stream)
        self._prompts = prompts
        self._idle: deque[Connection] = deque()
        self._due: deque[float] = deque()
        self._connections: set[Connection] = set()
        self._dialling: set[asyncio.Task[None]] = set()
        self._is_sending = True
        self.open = self.used = 0
        self.tally = Tally()

    def arrived(self, connection: Connection, reply: Reply, sent_for: float) -> None:
        self.open -= 1
        self.tally.take(reply, sent_for)
        if connection.is_open:
            self._free(connection)

    def lost(self, connection: Connection, sent_for: float | None) -> None:
        self._connections.discard(connection)
        if sent_for is not None:
            self.open -= 1
            self.tally.take(Reply(), sent_for)
        if self._is_sending and not self._rate:
            asyncio.get_running_loop().call_later(REDIAL_S, self._dial)

    def _free(self, connection: Connection) -> None:
        if not self._is_sending:
            return
        if not self._rate:
            self._send(connection, clock())
        elif self._due:
            self._send(connection, self._due.popleft())
        else:
            self._idle.append(connection)

    def _send(self, connection: Connection, sent_for: float) -> None:
        self.open += 1
        self.used += 1
        connection.send(self._payload(next(self._prompts)), sent_for)

    def _dial(self) -> None:
        if not self._is_sending:
            return
        task = asyncio.create_task(self._connect())
        self._dialling.add(task)
        task.add_done_callback(self._dialling.discard)

    async def _connect(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            _, connection = await loop.create_connection(
                lambda: Connection(self, is_stream=self._is_stream, reads_clock=self._reads_clock),
                "127.0.0.1",
                self._port,
            )
        except OSError as error:
            self.tally.errors[type(error).__name__] += 1
            asyncio.get_running_loop().call_later(REDIAL_S, self._dial)
            return
        if not self._is_sending:
            connection.close()
            return
        self._connections.add(connection)
        self._free(connection)

    async def send_all(self) -> None:
        """Keep the closed loop open, or send at the rate, until ``stop``."""
        if not self._rate:
            for _ in range(self._concurrency):
                self._dial()
            return
        interval, number, begun = 1 / self._rate, 0, clock()
        while self._is_sending:
            now = clock()
            while (due := begun + number * interval) <= now:
                number += 1
                self._send_due(due)
            await asyncio.sleep(max(TICK_S, due - now))

    def _send_due(self, due: float) -> None:
        while self._idle:
            connection = self._idle.pop()
            if connection.is_open:
                self._send(connection, due)
                return
        self._due.append(due)
        if len(self._connections) + len(self._dialling) < MAX_CONNECTIONS:
            self._dial()

    async def answered(self, count: int, *, patience_s: float) -> None:
        """Wait until ``count`` answers have come in all, but not longer than ``patience_s``."""
        deadline = clock() + patience_s
        # An event would have to be set by every answer, at the client's cost.
        while (left := deadline - clock()) > 0 and self.tally.completed < count:  # noqa: ASYNC110
            await asyncio.sleep(min(left, LOOK_S))

    async def stop(self) -> None:
        """Send no more, wait for what is open, and count what never came as lost."""
        self._is_sending = False
        seen, seen_at = self.open, clock()
        while self.open and clock() - seen_at < SETTLE_S:
            await asyncio.sleep(LOOK_S)
            if self.open != seen:
                seen, seen_at = self.open, clock()
        if self.open:
            self.tally.errors["no answer"] += self.open
        for connection in tuple(self._connections):
            connection.close()
        for task in tuple(self._dialling):
            task.cancel()
        await asyncio.sleep(0)


async def run_job(job: Job, say: Say, prompts: Iterator[str]) -> Result:
    """Warm up, count what ends in a window of ``duration_s``, and wait for what is still open.

    A closed loop is measured longer while its connections have not had ``TURNS`` answers each:
    some answer in bursts, and a window of half a burst would say anything.
    """
    run = Run(job, prompts)
    concurrency, duration_s = int(job["concurrency"]), float(job["duration_s"])
    gc.collect()
    gc.disable()
    say("begin")
    sending = asyncio.create_task(run.send_all())
    try:
        await asyncio.sleep(float(job["warmup_s"]))
        await run.answered(concurrency, patience_s=FULL_TURN_S)
        run.tally.is_counting = True
        begun = clock()
        enough = run.tally.completed + TURNS * concurrency
        await asyncio.sleep(duration_s)
        await run.answered(enough, patience_s=LONGER * duration_s)
        run.tally.is_counting = False
        seconds = clock() - begun
        await run.stop()
    finally:
        sending.cancel()
        gc.enable()
    say("end")
    return run.tally.result(seconds, run.used)


class Client:
    """Runs jobs; keeps, for each contender, how far it has come in the distinct prompts."""

    def __init__(self, prompts: Prompts) -> None:
        self._prompts = prompts
        self._taken: Counter[str] = Counter()

    async def run(self, job: Job, say: Say) -> Result:
        name = f"{job['contender']} {job['prompts']}"
        result = await run_job(job, say, self._stream_of(job["prompts"], self._taken[name]))
        self._taken[name] += result["prompts_used"]
        return result

    def _stream_of(self, kind: str, taken: int) -> Iterator[str]:
        match kind.partition(":"):
            case ("plumbing", _, _):
                return _cycle(lambda index: PLUMBING[index % len(PLUMBING)])
            case ("distinct", _, _):
                return _cycle(lambda index: self._prompts.distinct(taken + index))
            case ("clock", _, _):
                return _cycle(lambda index: f"{CLOCK_PROMPT}, for client {taken + index}.")
            case ("tokens", _, tokens):
                return _cycle(lambda index: document_of(int(tokens), taken + index))
            case _:
                raise ValueError(f"no prompts are called {kind!r}")


def _cycle(prompt: Callable[[int], str]) -> Iterator[str]:
    index = 0
    while True:
        yield prompt(index)
        index += 1


@click.command()
@click.option("--data", type=click.Path(path_type=Path), required=True)
@click.option("--seed", type=int, default=0)
def main(data: Path, seed: int) -> None:
    """Run load jobs from standard input."""
    client = Client(load_prompts(data, seed=seed))
    uvloop.run(serve_jobs(client.run))


if __name__ == "__main__":
    main()
