"""The sections of a run, in interleaved rounds: contender by contender, then the next round.

Owns the order of points and what each section sends. Every section yields points and judges none.
"""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import median
from typing import TypeVar

import httpx

from pointsman.loadgen.bench.contenders import MODEL, Contender
from pointsman.loadgen.bench.plan import OPEN_CONTENDERS, Plan
from pointsman.loadgen.bench.points import Bench, Load, Point
from pointsman.loadgen.bench.pointsman_files import Mode, write_route
from pointsman.loadgen.bench.workers import WorkerFailed

PROMPTS_OF = {"plumbing": "plumbing", "all stages": "distinct"}
SATURATED = "c=64"
RELOAD_S = 30.0
CLOCK_STREAMS = 1
"""Streams at once where time to first token is measured: upstream's pace, not a queue's."""

T = TypeVar("T")
Say = Callable[[str], None]


class RouteNotInForce(RuntimeError):
    """Pointsman went on with the route before."""


@dataclass(kw_only=True)
class Rounds:
    """A run: what is measured, with whom, and what came out so far."""

    bench: Bench
    plan: Plan
    contenders: Mapping[str, Contender]
    route: Path
    say: Say
    begun: float
    points: list[Point] = field(default_factory=list[Point])
    failures: list[str] = field(default_factory=list[str])

    async def closed(self) -> None:
        """Closed loops: both cases, every concurrency of the plan."""
        for name in self.contenders:
            load = replace(self._load("warm-up", "plumbing", concurrency=16), duration_s=0.5)
            await self.bench.point(self.contenders[name], load, section="warm-up", number=0)
        for number in range(1, self.plan.rounds + 1):
            if number > 1 and time.monotonic() - self.begun > self.plan.closed_budget_s:
                self.say(f"  out of time after {number - 1} of {self.plan.rounds} rounds")
                return
            for case, name, concurrencies in _turned(self.plan.closed, number):
                for concurrency in concurrencies:
                    load = self._load(case, PROMPTS_OF[case], concurrency=concurrency)
                    await self._measure(name, load, section="closed", number=number)

    async def open(self) -> None:
        """Open loops on distinct prompts, at shares of what each contender did in closed loop."""
        for number in range(1, self.plan.rounds + 1):
            for name in _turned(OPEN_CONTENDERS, number):
                saturated = [p.rate for p in self.of("closed", "all stages", name, SATURATED)]
                if not saturated:
                    continue
                for share in self.plan.open_shares:
                    case = f"open at {share:.0%}"
                    load = self._load(case, "distinct", rate=median(saturated) * share)
                    await self._measure(name, load, section="open", number=number)

    async def stream(self) -> None:
        """Streams of a clock under a route whose tokens leave at once."""
        await self._put_route_in_force("observe")
        try:
            for number in range(1, self.plan.rounds + 1):
                for name in _turned(self.plan.stream_contenders, number):
                    load = self._load("stream", "clock", concurrency=CLOCK_STREAMS, is_stream=True)
                    await self._measure(name, load, section="stream", number=number)
        finally:
            await self._put_route_in_force("gate")

    async def growth(self) -> None:
        """What a request costs the fused shape with more at once, and with longer prompts."""
        for number in range(1, self.plan.growth_rounds + 1):
            for concurrency in self.plan.growth_concurrency:
                load = self._load("concurrency", "distinct", concurrency=concurrency)
                await self._measure("fused", load, section="growth", number=number)
            for tokens in self.plan.growth_tokens:
                load = self._load(f"{tokens} tokens", f"tokens:{tokens}", concurrency=1)
                await self._measure("fused", load, section="growth", number=number)

    def of(self, section: str, case: str, contender: str, load: str | None = None) -> list[Point]:
        """Return the points of one kind, in order of rounds."""
        return [
            point
            for point in self.points
            if (point.section, point.case, point.contender) == (section, case, contender)
            and load in {None, point.load}
        ]

    def _load(
        self,
        case: str,
        prompts: str,
        *,
        concurrency: int = 0,
        rate: float = 0.0,
        is_stream: bool = False,
    ) -> Load:
        return Load(
            case=case,
            prompts=prompts,
            concurrency=concurrency,
            rate=rate,
            is_stream=is_stream,
            warmup_s=self.plan.warmup_s,
            duration_s=self.plan.duration_s,
        )

    async def _measure(self, name: str, load: Load, *, section: str, number: int) -> None:
        contender = self.contenders.get(name)
        if contender is None:
            return
        try:
            point = await self.bench.point(contender, load, section=section, number=number)
        except TimeoutError as error:
            raise WorkerFailed(f"{name} at {load.name}: the load client did not end") from error
        self.points.append(point)
        if not point.completed:
            self.failures.append(f"{name}, {load.case}, {load.name}: nothing was answered")
        p50 = point.latency_ms.get("p50", 0.0)
        self.say(
            f"  {section} {number}: {load.case}, {name}, {load.name}: {point.rate:.0f}/s,"
            f" p50 {p50:.1f} ms, {point.cpu_ms:.2f} ms CPU"
            + (f", errors {dict(point.errors)}" if point.errors else "")
        )

    async def _put_route_in_force(self, mode: Mode) -> None:
        """Change the route file and wait until both shapes answer by another revision."""
        running = [self.contenders[name] for name in ("fused", "seven") if name in self.contenders]
        before = [await _revision(contender.port) for contender in running]
        write_route(self.route, mode=mode)
        for contender, old in zip(running, before, strict=True):
            try:
                async with asyncio.timeout(RELOAD_S):
                    await _changed(contender.port, old)
            except TimeoutError as error:
                raise RouteNotInForce(f"{contender.name} did not take the {mode} route") from error


async def _changed(port: int, old: str) -> None:
    found = old
    while found in {old, ""}:
        await asyncio.sleep(0.1)
        found = await _revision(port)


async def _revision(port: int) -> str:
    body = {"model": MODEL, "messages": [{"role": "user", "content": "Which route is it?"}]}
    url = f"http://127.0.0.1:{port}/v1/chat/completions"
    async with httpx.AsyncClient(trust_env=False, timeout=RELOAD_S) as client:
        response = await client.post(url, json=body)
        return response.headers.get("x-pointsman-route", "")


def _turned(items: Sequence[T], number: int) -> tuple[T, ...]:
    """Begin each round with another one: who comes first meets a cooler machine."""
    start = (number - 1) % len(items) if items else 0
    return (*items[start:], *items[:start])
