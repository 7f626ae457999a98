"""Runs services: one alone, or several in one process; the same code either way.

Owns the life of a process: connect, open resources, pull, serve health, drain on SIGTERM.
"""

import asyncio
import gc
import signal
import sys
from collections.abc import AsyncGenerator, Collection, Coroutine, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import structlog

from pointsman.contracts.parts import ServiceName
from pointsman.contracts.topology import (
    LLM_DEAD,
    LLM_EVENTS,
    LLM_WORK,
    MEMO,
    Consumer,
    bucket_stream,
    consumers_of,
)
from pointsman.runtime.advisories import Advisories
from pointsman.runtime.bus import Backlog
from pointsman.runtime.delivery import Delivery
from pointsman.runtime.health import serve_health
from pointsman.runtime.nats_transport import NatsTransport, connect
from pointsman.runtime.observability import configure_logging, configure_tracing
from pointsman.runtime.process_bus import ProcessBus
from pointsman.runtime.pull import PullLoop
from pointsman.runtime.service import Service
from pointsman.runtime.settings import ServiceSettings
from pointsman.runtime.stage import Stage
from pointsman.runtime.transport import OnMessage

log = structlog.get_logger()

AnyService = Service[Any]

COLLECT_AFTER = (20_000, 20, 100)
"""Python's own (700, 10, 10) walks what a thousand open requests hold over and over."""

SWITCH_INTERVAL_S = 0.0005
"""With Python's own 5 ms a thread that embeds waits longer for the lock than it computes."""

EVENTS_PATIENCE_S = 5.0
"""How long a process that stops waits for its last facts to be stored."""


async def read_backlog(transport: NatsTransport) -> Backlog:
    """Ask the broker how much waits and how full it is.

    Raises: Retryable.
    """
    (commands, work), (_, memo), (events, stored), lag = await asyncio.gather(
        transport.stream_fill(LLM_WORK),
        transport.stream_fill(bucket_stream(MEMO)),
        transport.stream_fill(LLM_EVENTS),
        transport.consumer_lag(LLM_EVENTS, "accounting"),
    )
    # The oldest events make room for new ones; those that nobody recorded must not be among them.
    unrecorded = stored * min(1.0, lag / events) if events else 0.0
    return Backlog(commands=commands, fill=max(work, memo, unrecorded))


class ProcessFailed(RuntimeError):
    """A part of the process that should have run on has ended."""


def run(*services: AnyService, fuse: Collection[ServiceName] | None = None) -> None:
    """Run services in this process until SIGTERM or SIGINT; see ``running`` for ``fuse``.

    Raises: ProcessFailed if a part of it ends by itself.
    """
    run_loop(until_signal(_run(services, fuse)))


def run_loop(work: Coroutine[Any, Any, None]) -> None:
    """Run ``work`` on uvloop, which does the same for less, or on asyncio's loop without it."""
    try:
        import uvloop
    except ImportError:  # There is none for Windows.
        asyncio.run(work)
    else:
        uvloop.run(work)


async def _run(services: Sequence[AnyService], fuse: Collection[ServiceName] | None) -> None:
    async with running(services, fuse=fuse) as platform:
        tune_interpreter()
        await platform.until_failed()


def tune_interpreter() -> None:
    """Set up the interpreter for serving, once everything is loaded.

    What is loaded stays until the end, and walking hundreds of thousands of its objects again and
    again costs more than what a request leaves behind: it leaves garbage collection. And the
    encoder's thread, which computes without the interpreter lock, gets it back sooner.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*COLLECT_AFTER)
    sys.setswitchinterval(SWITCH_INTERVAL_S)


async def until_signal(work: Coroutine[Any, Any, None]) -> None:
    """Run ``work`` until it ends or the process is told to; then it is cancelled and cleans up.

    Holds while the work is still starting, too: a process that waits for its bus can be stopped.
    """
    task = asyncio.create_task(work)
    loop = asyncio.get_running_loop()
    was_told = asyncio.Event()

    def stop() -> None:
        was_told.set()
        task.cancel()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    try:
        await task
    except asyncio.CancelledError:
        if not was_told.is_set():
            raise
        log.info("process.stopped")


class Platform:
    """The services that run in this process, and what they say of themselves."""

    def __init__(self, services: Sequence[AnyService], transport: NatsTransport) -> None:
        self.services = tuple(services)
        self._failed = asyncio.Event()
        self._error: BaseException | None = None
        self._transport = transport
        self._deps: dict[str, Any] = {}

    def opened(self, service: AnyService, deps: Any) -> None:
        self._deps[service.name] = deps

    def problems(self) -> Mapping[str, Mapping[str, str]]:
        """Return per service what is wrong with which dependency; empty means ready."""
        found: dict[str, dict[str, str]] = {}
        for service in self.services:
            problems: dict[str, str] = {}
            if not self._transport.client.is_connected:
                problems["nats"] = "not connected"
            if service.name not in self._deps:
                problems["resources"] = "not open yet"
            elif service.problems is not None:
                problems |= service.problems(self._deps[service.name])
            if problems:
                found[service.name] = problems
        return found

    def task_ended(self, task: asyncio.Task[None]) -> None:
        """A loop that ends by itself takes the process down: half a platform helps nobody."""
        if not task.cancelled() and (error := task.exception()) is not None:
            self._error = error
            log.error("process.task_failed", error=type(error).__name__, exc_info=error)
            self._failed.set()

    async def until_failed(self) -> None:
        """Wait until a part of the process ends by itself, or its connection for good.

        Raises: ProcessFailed, always.
        """
        closed = asyncio.create_task(self._transport.closed.wait())
        failed = asyncio.create_task(self._failed.wait())
        try:
            await asyncio.wait({closed, failed}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            closed.cancel()
            failed.cancel()
        raise ProcessFailed("the process cannot go on") from self._error


@asynccontextmanager
async def running(
    services: Sequence[AnyService], *, fuse: Collection[ServiceName] | None = None
) -> AsyncGenerator[Platform]:
    """Run ``services`` inside the block; drain and close on exit.

    ``fuse`` names those of them that call each other directly, without a command on the bus between
    them; without it, all do.
    Raises: what a service's resources raise when they cannot be opened.
    """
    shared = services[0].settings
    name = services[0].name if len(services) == 1 else "pointsman"
    configure_logging(shared)
    tracing = configure_tracing(shared, name)
    async with AsyncExitStack() as stack:
        if tracing is not None:
            stack.callback(tracing.shutdown)
        transport = await stack.enter_async_context(connect(shared, name=name))
        bus = ProcessBus(
            transport,
            services=[service.name for service in services],
            read_backlog=lambda: read_backlog(transport),
        )
        await bus.start()
        platform = Platform(services, transport)
        background = await stack.enter_async_context(_background(platform))
        background(bus.watch_backlog())
        await stack.enter_async_context(_storing_events(bus, platform))
        _serve_health(platform, shared, background)
        stages: list[Stage] = []
        for service in services:
            deps = await stack.enter_async_context(service.resources(bus))
            platform.opened(service, deps)
            publisher = bus.publisher(service.name)
            stages.append(Stage(service=service, deps=deps, publisher=publisher))
        fused: dict[ServiceName, Stage] = {
            stage.name: stage for stage in stages if fuse is None or stage.name in fuse
        }
        stopping = asyncio.Event()
        starting = _Starting(fused=fused, transport=transport, bus=bus, stopping=stopping)
        loops = [loop for stage in stages for loop in starting.start(stage, background)]
        stack.push_async_callback(_drain, loops, shared, stopping)
        # Entered last, so closed first: no new request comes in while handlers finish.
        serving = await stack.enter_async_context(_background(platform))
        for stage in stages:
            if stage.service.serve is not None:
                serving(stage.service.serve(bus, stage.deps, platform.problems))
        log.info("process.started", services=[service.name for service in services])
        yield platform


@dataclass(frozen=True, kw_only=True)
class _Starting:
    """What every consumer of the process is started with."""

    fused: Mapping[ServiceName, Stage]
    transport: NatsTransport
    bus: ProcessBus
    stopping: asyncio.Event

    def start(self, stage: Stage, background: "Background") -> list[PullLoop]:
        """Start pulling every consumer of one service."""
        loops: list[PullLoop] = []
        called: Mapping[ServiceName, Stage] = self.fused if stage.name in self.fused else {}
        for consumer in consumers_of(stage.name):
            on_message: OnMessage
            if consumer.stream == LLM_DEAD:
                on_message = Advisories(self.transport, consumer, self.bus.publisher)
            else:
                on_message = delivery = Delivery(
                    stage=stage,
                    consumer=consumer,
                    fused=called,
                    handover=self.bus.handover,
                    is_stopping=self.stopping.is_set,
                )
                background(delivery.heartbeat())
            slots = _concurrency(consumer, called)
            loop = PullLoop(self.transport, consumer, on_message, concurrency=slots)
            background(loop.run())
            loops.append(loop)
        return loops


def _concurrency(consumer: Consumer, called: Mapping[ServiceName, Stage]) -> int:
    """How many messages of ``consumer`` one process handles at once.

    A message that goes through several stages here waits where the slowest of them waits, so it
    takes the widest one's slots.
    """
    if consumer.stream != LLM_WORK:
        return consumer.concurrency
    rows = [row for name in called for row in consumers_of(name) if row.stream == LLM_WORK]
    return max(row.concurrency for row in (consumer, *rows))


@asynccontextmanager
async def _storing_events(bus: ProcessBus, platform: Platform) -> AsyncGenerator[None]:
    """Store the process's facts inside the block; on exit, those that wait are stored first."""
    task = asyncio.create_task(bus.events.run())
    task.add_done_callback(platform.task_ended)
    try:
        yield
    finally:
        bus.events.close()
        try:
            async with asyncio.timeout(EVENTS_PATIENCE_S):
                await task
        except TimeoutError:
            log.warning("events.unstored_at_exit")


def _serve_health(platform: Platform, settings: ServiceSettings, background: "Background") -> None:
    if settings.health_port is not None:
        background(serve_health(settings.health_host, settings.health_port, platform.problems))


async def _drain(
    loops: Sequence[PullLoop], settings: ServiceSettings, stopping: asyncio.Event
) -> None:
    stopping.set()
    for loop in loops:
        loop.stop()
    await asyncio.gather(*(loop.drain(settings.drain_timeout) for loop in loops))


class Background:
    """Starts tasks that belong to the process and end with it."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._tasks: list[asyncio.Task[None]] = []

    def __call__(self, work: Any) -> None:
        task: asyncio.Task[None] = asyncio.ensure_future(work)
        task.add_done_callback(self._platform.task_ended)
        self._tasks.append(task)

    async def cancel(self) -> None:
        for task in reversed(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


@asynccontextmanager
async def _background(platform: Platform) -> AsyncGenerator[Background]:
    background = Background(platform)
    try:
        yield background
    finally:
        await background.cancel()
