"""A real nats-server per test: a free port, a temporary store, stopped by its test."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from pathlib import Path

import pytest

from pointsman.contracts.messages import Event
from pointsman.runtime.embedded_nats import EmbeddedNats
from pointsman.runtime.nats_transport import NatsTransport, connect
from pointsman.runtime.process_bus import ProcessBus
from pointsman.runtime.provision import Provisioning, provision
from pointsman.runtime.reading import events_of
from pointsman.runtime.settings import ServiceSettings


@pytest.fixture
async def nats_server(tmp_path: Path) -> AsyncGenerator[EmbeddedNats]:
    async with EmbeddedNats(tmp_path / "nats") as server:
        yield server


@pytest.fixture
def settings(nats_server: EmbeddedNats) -> ServiceSettings:
    return ServiceSettings(nats_url=nats_server.url)


@pytest.fixture
async def transport(settings: ServiceSettings) -> AsyncGenerator[NatsTransport]:
    """A connection of the test's own, to a provisioned broker."""
    async with connect(settings, name="test") as transport:
        await provision(transport, Provisioning())
        yield transport


@pytest.fixture
async def bus(transport: NatsTransport) -> AsyncGenerator[ProcessBus]:
    """A bus of the test's own, as ingress has one."""
    bus = ProcessBus(transport)
    await bus.start()
    storing = asyncio.create_task(bus.events.run())
    yield bus
    bus.events.close()
    await storing


Told = Callable[..., Awaitable[list[Event]]]


@pytest.fixture
def told(transport: NatsTransport) -> Told:
    """Return a request's timeline once it has ``facts``: they are stored off its path."""

    async def told(request_id: str, *, facts: int) -> list[Event]:
        async with asyncio.timeout(20):
            while len(events := await events_of(transport, request_id)) < facts:
                await asyncio.sleep(0.02)
        return events

    return told
