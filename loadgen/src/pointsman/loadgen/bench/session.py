"""A whole run: start everybody, measure, collect, end everybody.

Owns the order of the run and its workplace. What could not be measured is a failure that is told,
and does not stop the others.
"""

import asyncio
import shutil
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from pointsman.loadgen.bench import contenders, litellm_proxy
from pointsman.loadgen.bench.child import ChildFailed
from pointsman.loadgen.bench.commands import COMMANDS, output_of
from pointsman.loadgen.bench.contenders import READY_MADE, Contender, Place
from pointsman.loadgen.bench.plan import Plan
from pointsman.loadgen.bench.points import MEGABYTE, Bench, Point
from pointsman.loadgen.bench.pointsman_files import write_registry, write_route
from pointsman.loadgen.bench.rounds import Rounds, RouteNotInForce, Say
from pointsman.loadgen.bench.workers import WorkerFailed, worker

IDLE_S = 3.0
FAILURES = (ChildFailed, WorkerFailed, RouteNotInForce, TimeoutError, httpx.HTTPError, OSError)

Starting = AbstractAsyncContextManager[Contender]


class NotSetUp(RuntimeError):
    """The tool catalogue or the embedding model is not there: `task catalogue` makes both."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """What to run. ``sections`` and ``who`` narrow it; ``state_dir`` holds what runs share."""

    plan: Plan
    state_dir: Path
    ready_made: Path
    data: Path
    sections: frozenset[str]
    who: frozenset[str]
    say: Say


@dataclass(kw_only=True)
class Outcome:
    """What a run found."""

    points: list[Point] = field(default_factory=list[Point])
    starts: list[dict[str, float]] = field(default_factory=list[dict[str, float]])
    facts: dict[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])
    commands: dict[str, str] = field(default_factory=dict[str, str])
    failures: list[str] = field(default_factory=list[str])


async def run(options: Options) -> Outcome:
    """Run everything the options ask for. Raises: NotSetUp, or ChildFailed of the stub."""
    for name in READY_MADE:
        if not (options.ready_made / name).is_dir():
            raise NotSetUp(f"there is no {options.ready_made / name}: run `task catalogue`")
    options.state_dir.mkdir(parents=True, exist_ok=True)
    outcome = Outcome()
    work = Path(tempfile.mkdtemp(prefix="run-", dir=options.state_dir))
    place = Place(work=work, litellm=options.state_dir / "litellm", ready_made=options.ready_made)
    try:
        await _run(options, place, outcome)
    finally:
        if outcome.failures:
            options.say(f"logs of the contenders are kept in {place.logs}")
            _remove_all_but_logs(place)
        else:
            shutil.rmtree(work, ignore_errors=True)
    return outcome


async def _run(options: Options, place: Place, outcome: Outcome) -> None:
    begun = time.monotonic()
    async with AsyncExitStack() as stack:
        stub = await stack.enter_async_context(contenders.direct(place))
        registry = write_registry(stub.port, place.work / "models.yaml")
        route = write_route(place.work / "route" / "route.yaml", mode="gate")
        runners = {"direct": stub}

        async def start(name: str, starting: Callable[[], Starting]) -> Contender | None:
            if name not in options.who:
                return None
            options.say(f"{name} starts")
            contender = await _entered(stack, name, starting, outcome)
            if contender is not None:
                runners[name] = contender
            return contender

        def fused() -> Starting:
            return contenders.fused(place, registry=registry, route=route)

        if "litellm" in options.who:
            installing = litellm_proxy.install(place.litellm, log_dir=place.logs)
            await _tried(outcome, "litellm", installing)
        is_timed = "start" in options.sections and "fused" in options.who
        if is_timed:
            await _starts(options, fused, outcome)
        running = await start("fused", fused)
        if is_timed and running is not None:
            outcome.starts.append(running.facts)
        await _idle_memory(runners, outcome)
        await asyncio.gather(
            start("litellm", lambda: contenders.litellm(place, stub.port)),
            start("bare", lambda: contenders.bare(place)),
            start("seven", lambda: contenders.seven(place, registry=registry, route=route)),
        )
        await _idle_cpu(runners, outcome, options.say)
        client = await stack.enter_async_context(
            worker("client", "--data", str(options.data), log_dir=place.logs)
        )
        rounds = Rounds(
            bench=Bench(client, stub.port),
            plan=options.plan,
            contenders=runners,
            route=route,
            say=options.say,
            begun=begun,
            points=outcome.points,
            failures=outcome.failures,
        )
        await _sections(options, rounds, outcome)
    await _commands(options, place, outcome)


async def _sections(options: Options, rounds: Rounds, outcome: Outcome) -> None:
    for name, section in (
        ("closed", rounds.closed),
        ("open", rounds.open),
        ("stream", rounds.stream),
        ("growth", rounds.growth),
    ):
        if name in options.sections:
            options.say(name)
            await _tried(outcome, name, section())


async def _starts(options: Options, fused: Callable[[], Starting], outcome: Outcome) -> None:
    """Time starts of the fused shape but the last, which is the contender's own.

    One before them fills the caches on disk.
    """
    for number in range(options.plan.starts):
        async with AsyncExitStack() as stack:
            contender = await _entered(stack, "fused", fused, outcome)
            if contender is None:
                return
            kind = "cold caches" if number == 0 else "warm"
            options.say(f"  start {number} ({kind}): ready in {contender.facts['ready_s']:.1f} s")
            if number:
                outcome.starts.append(contender.facts)


async def _idle_memory(runners: dict[str, Contender], outcome: Outcome) -> None:
    """Memory of the fused shape before any load, after one request has used the encoder."""
    fused = runners.get("fused")
    if fused is None:
        return
    await asyncio.sleep(IDLE_S)
    fused.meter.refresh()
    reading = fused.meter.read()
    outcome.facts["fused"] = {
        **fused.facts,
        "idle_rss_mb": reading.rss_bytes / MEGABYTE,
        "idle_rss_mb_nats_server": reading.nats_rss_bytes / MEGABYTE,
    }


async def _idle_cpu(runners: dict[str, Contender], outcome: Outcome, say: Say) -> None:
    """What each contender uses while nobody asks: it runs beside whoever is measured."""
    before = {name: contender.meter.read() for name, contender in runners.items()}
    await asyncio.sleep(IDLE_S)
    for name, contender in runners.items():
        contender.meter.refresh()
        reading = contender.meter.read()
        share = (reading.cpu_s - before[name].cpu_s) / IDLE_S
        found = outcome.facts.setdefault(name, dict(contender.facts))
        found.setdefault("idle_rss_mb", reading.rss_bytes / MEGABYTE)
        found["idle_cpu_share_of_a_core"] = share
        say(f"  idle: {name} {share:.1%} of a core, {found['idle_rss_mb']:.0f} MB")


async def _commands(options: Options, place: Place, outcome: Outcome) -> None:
    if "growth" not in options.sections or not options.plan.growth_tokens:
        return
    for command in COMMANDS:
        if command.needs_data and not options.data.is_dir():
            outcome.commands[command.what] = f"  not run: {options.data} is absent"
            continue
        options.say(command.what)
        try:
            outcome.commands[command.what] = await output_of(
                command, data=options.data, log_dir=place.logs
            )
        except FAILURES as error:
            outcome.failures.append(_told(command.what, error))


async def _entered(
    stack: AsyncExitStack, name: str, starting: Callable[[], Starting], outcome: Outcome
) -> Contender | None:
    try:
        return await stack.enter_async_context(starting())
    except FAILURES as error:
        outcome.failures.append(_told(name, error))
        return None


async def _tried(outcome: Outcome, name: str, awaited: Awaitable[None]) -> None:
    try:
        await awaited
    except FAILURES as error:
        outcome.failures.append(_told(name, error))


def _told(name: str, error: BaseException) -> str:
    return f"{name}: {type(error).__name__}: {error}"


def _remove_all_but_logs(place: Place) -> None:
    for path in place.work.iterdir():
        if path == place.logs:
            continue
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
