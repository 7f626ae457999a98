"""``pointsman provision``: apply the topology to a broker."""

import asyncio
from datetime import timedelta

import click

from pointsman.runtime.nats_transport import connect
from pointsman.runtime.provision import Provisioning, provision
from pointsman.runtime.settings import ServiceSettings

PATIENCE = timedelta(seconds=30)


def run_provision(nats_url: str | None, replicas: int) -> None:
    """Print what was created or updated, a line each."""
    for line in asyncio.run(_provision(nats_url, replicas)):
        click.echo(line)


async def _provision(nats_url: str | None, replicas: int) -> list[str]:
    settings = ServiceSettings(nats_url=nats_url) if nats_url else ServiceSettings()
    async with connect(settings, name="pointsman-provision", patience=PATIENCE) as transport:
        return await provision(transport, Provisioning(replicas=replicas))
