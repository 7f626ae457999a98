"""``pointsman up``: the whole platform in this process until Ctrl-C."""

import asyncio
import signal

import click

from pointsman.cli.laptop import Laptop, LaptopOptions, laptop
from pointsman.runtime.embedded_nats import NatsServerFailed


def run_up(options: LaptopOptions) -> None:
    """Run until SIGINT or SIGTERM.

    Raises: click.ClickException with one line for what an operator can mend.
    """
    try:
        asyncio.run(_run(options))
    except NatsServerFailed as error:
        raise click.ClickException(str(error)) from error


async def _run(options: LaptopOptions) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with laptop(options) as running:
        click.echo(_greeting(running))
        stopped = asyncio.create_task(stop.wait())
        failed = asyncio.create_task(running.platform.failed.wait())
        await asyncio.wait({stopped, failed}, return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
        failed.cancel()
        click.echo("stopping")


def _greeting(running: Laptop) -> str:
    lines = [
        "",
        f"Pointsman is up: {running.base_url}/v1 (model: auto)",
        f"  bus      {running.nats_url}",
        f"  health   {running.base_url}/readyz",
        f"  metrics  {running.base_url}/metrics",
    ]
    if running.models_url:
        lines.append(f"  models   simulated, at {running.models_url}")
    lines.append("Stop with Ctrl-C.")
    return "\n".join(lines)
