"""Runs services: one alone, or several in one process; the same code either way.

Owns the life of a process: connect, open resources, pull, serve health, drain on SIGTERM.
"""

import asyncio
import signal
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import structlog

from pointsman.contracts.topology import LLM_DEAD, LLM_WORK, consumers_of
from pointsman.runtime.advisories import Advisories
from pointsman.runtime.delivery import Delivery
from pointsman.runtime.health import serve_health
from pointsman.runtime.nats_transport import NatsTransport, connect
from pointsman.runtime.observability import configure_logging, configure_tracing
from pointsman.runtime.process_bus import ProcessBus
from pointsman.runtime.publishing import Publisher
from pointsman.runtime.pull import PullLoop
from pointsman.runtime.service import Service
from pointsman.runtime.settings import ServiceSettings

log = structlog.get_logger()

AnyService = Service[Any]


def run(service: AnyService) -> None:
    """Run one service until SIGTERM or SIGINT."""
    run_together([service])


def run_together(services: Sequence[AnyService]) -> None:
    """Run several services in this process until SIGTERM or SIGINT."""
    asyncio.run(_run_until_signal(services))


async def _run_until_signal(services: Sequence[AnyService]) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with running(services) as platform:
        stopped = asyncio.create_task(stop.wait())
        failed = asyncio.create_task(platform.failed.wait())
        await asyncio.wait({stopped, failed}, return_when=asyncio.FIRST_COMPLETED)
        for waiting in (stopped, failed):
            waiting.cancel()
        log.info("process.stopping", services=[service.name for service in services])


class Platform:
    """The services that run in this process, and what they say of themselves."""

    def __init__(self, services: Sequence[AnyService], transport: NatsTransport) -> None:
        self.services = tuple(services)
        self.failed = asyncio.Event()
        self.error: BaseException | None = None
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
            self.error = error
            log.error("process.task_failed", error=type(error).__name__, exc_info=error)
            self.failed.set()


@asynccontextmanager
async def running(services: Sequence[AnyService]) -> AsyncGenerator[Platform]:
    """Run ``services`` inside the block; drain and close on exit.

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
        bus = ProcessBus(transport, read_depth=lambda: transport.stream_depth(LLM_WORK))
        await bus.start()
        platform = Platform(services, transport)
        background = await stack.enter_async_context(_background(platform))
        background(bus.watch_depth())
        _serve_health(platform, shared, background)
        loops: list[PullLoop] = []
        opened: list[tuple[AnyService, Any]] = []
        for service in services:
            deps = await stack.enter_async_context(service.resources(bus))
            platform.opened(service, deps)
            opened.append((service, deps))
        for service, deps in opened:
            loops += _start(service, deps, transport, background)
        stack.push_async_callback(_drain, loops, shared)
        # Entered last, so closed first: no new request comes in while handlers finish.
        serving = await stack.enter_async_context(_background(platform))
        for service, deps in opened:
            if service.serve is not None:
                serving(service.serve(bus, deps, platform.problems))
        log.info("process.started", services=[service.name for service in services])
        yield platform


def _start(
    service: AnyService, deps: Any, transport: NatsTransport, background: "Background"
) -> list[PullLoop]:
    """Start pulling every consumer of ``service``."""
    loops: list[PullLoop] = []
    publisher = Publisher(transport, service.name)
    for consumer in consumers_of(service.name):
        if consumer.stream == LLM_DEAD:
            loop = PullLoop(transport, consumer, Advisories(transport, consumer))
        else:
            delivery = Delivery(service=service, consumer=consumer, publisher=publisher, deps=deps)
            background(delivery.heartbeat())
            loop = PullLoop(transport, consumer, delivery)
        background(loop.run())
        loops.append(loop)
    return loops


def _serve_health(platform: Platform, settings: ServiceSettings, background: "Background") -> None:
    if settings.health_port is not None:
        background(serve_health(settings.health_host, settings.health_port, platform.problems))


async def _drain(loops: Sequence[PullLoop], settings: ServiceSettings) -> None:
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
