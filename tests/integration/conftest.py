"""A real nats-server per test: a free port, a temporary store, stopped by its test."""

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from pointsman.runtime.embedded_nats import EmbeddedNats
from pointsman.runtime.nats_transport import NatsTransport, connect
from pointsman.runtime.provision import Provisioning, provision
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
