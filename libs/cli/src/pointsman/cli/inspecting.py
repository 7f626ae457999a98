"""``pointsman dead``, ``trace`` and ``ledger``: look at what happened, after it happened.

They use the bus at NATS_URL, else the one that runs from the state folder, else they start it for
the moment of the command: the streams lie in that folder.
"""

import asyncio
import json
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Literal, TypeVar

import click

from pointsman.cli.options import nats_option, state_dir_option
from pointsman.cli.timeline import render_timeline, timeline_data
from pointsman.contracts.errors import Rejected
from pointsman.runtime import dead as letters
from pointsman.runtime.embedded_nats import EmbeddedNats, running_url
from pointsman.runtime.nats_transport import NatsTransport, connect
from pointsman.runtime.reading import events_of
from pointsman.runtime.settings import ServiceSettings

T = TypeVar("T")

PATIENCE = timedelta(seconds=10)


@asynccontextmanager
async def bus(state_dir: Path, nats_url: str | None) -> AsyncGenerator[NatsTransport]:
    """Connect to the bus, wherever it is.

    Raises: click.ClickException if there is none and no state folder to start one from.
    """
    url = nats_url or running_url(state_dir / "nats")
    if url is not None:
        settings = ServiceSettings(nats_url=url)
        async with connect(settings, name="pointsman-cli", patience=PATIENCE) as transport:
            yield transport
        return
    if not (state_dir / "nats").exists():
        raise click.ClickException(f"no bus: set NATS_URL, or run from where {state_dir} is")
    async with EmbeddedNats(state_dir / "nats") as server:
        settings = ServiceSettings(nats_url=server.url)
        async with connect(settings, name="pointsman-cli", patience=PATIENCE) as transport:
            yield transport


def _with_bus(
    state_dir: Path, nats_url: str | None, work: Callable[[NatsTransport], Awaitable[T]]
) -> T:
    async def run() -> T:
        async with bus(state_dir, nats_url) as transport:
            return await work(transport)

    return asyncio.run(run())


@click.group()
def dead() -> None:
    """Messages that were given up: list them, look at one, send it on again."""


@dead.command("list")
@state_dir_option
@nats_option
def list_(state_dir: Path, nats_url: str | None) -> None:
    """List the dead letters, oldest first."""
    found = _with_bus(state_dir, nats_url, letters.list_letters)
    for stored in found:
        letter = stored.letter
        click.echo(
            f"{stored.number:>6}  {letter.at:%Y-%m-%d %H:%M:%S}  {letter.service:<10}  "
            f"deliveries={letter.deliveries}  request={letter.request_id or '-'}  {letter.reason}"
        )
    click.echo(f"{len(found)} dead letters", err=True)


@dead.command("show")
@click.argument("number", type=int)
@state_dir_option
@nats_option
def show(number: int, state_dir: Path, nats_url: str | None) -> None:
    """Print one dead letter, body included: it may hold what a user wrote."""
    try:
        letter = _with_bus(state_dir, nats_url, lambda bus: letters.read_letter(bus, number))
    except letters.NoSuchLetter as error:
        raise click.ClickException(f"there is no dead letter {number}") from error
    click.echo(letters.show(letter))


@dead.command("redrive")
@click.argument("number", type=int)
@state_dir_option
@nats_option
def redrive(number: int, state_dir: Path, nats_url: str | None) -> None:
    """Send one dead letter's message on again, with a new deadline."""
    try:
        request_id = _with_bus(state_dir, nats_url, lambda bus: letters.redrive(bus, number))
    except letters.NoSuchLetter as error:
        raise click.ClickException(f"there is no dead letter {number}") from error
    except Rejected as error:
        raise click.ClickException(f"dead letter {number} can not succeed: {error}") from error
    click.echo(f"request {request_id} goes on")


@click.command()
@click.argument("request_id")
@state_dir_option
@nats_option
@click.option("--json", "as_json", is_flag=True)
def trace(
    request_id: str,
    state_dir: Path,
    nats_url: str | None,
    as_json: bool,
) -> None:
    """Print what happened to one request: stages, decision, scores, models, cost, attempts."""
    try:
        events = _with_bus(state_dir, nats_url, lambda bus: events_of(bus, request_id))
    except ValueError as error:
        raise click.ClickException(f"{request_id} is no request id") from error
    if not events:
        raise click.ClickException(f"nothing is known of request {request_id}")
    if as_json:
        click.echo(json.dumps(timeline_data(events), indent=2))
    else:
        click.echo(render_timeline(events))


@click.group()
def ledger() -> None:
    """The append-only ledger of tokens and money."""


@ledger.command("report")
@state_dir_option
@click.option("--url", envvar="ACCOUNTING_DATABASE_URL", help="Ledger database, if not the file.")
@click.option("--by", type=click.Choice(["namespace", "model", "route"]), default="model")
@click.option("--json", "as_json", is_flag=True)
def report(
    state_dir: Path,
    url: str | None,
    by: Literal["namespace", "model", "route"],
    as_json: bool,
) -> None:
    """Print requests, tokens and cost, and whether the books agree with themselves."""
    from pointsman.cli.books import print_report

    print_report(state_dir, url, by=by, as_json=as_json)
