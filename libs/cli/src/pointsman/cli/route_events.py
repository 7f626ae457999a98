"""Recorded events for ``pointsman route``: from a file of them, or from LLM_EVENTS.

Owns reading them and ``pointsman route events``, which writes such a file. What they
are used for is in ``route_history``.
"""

import asyncio
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import BinaryIO

import click
from pydantic import ValidationError

from pointsman.cli.inspecting import bus
from pointsman.cli.options import nats_option, state_dir_option
from pointsman.contracts.messages import Event, parse_events
from pointsman.contracts.wire import redacted_json
from pointsman.runtime.reading import read_events

STREAM = "stream"
"""Stands for LLM_EVENTS where a file of events could be named."""

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


class UnusableEvents(ValueError):
    """A file of events cannot be read. ``line`` counts from 1; 0 where the whole file is meant."""

    def __init__(self, path: Path, reason: str, *, line: int = 0) -> None:
        super().__init__(f"{path}, line {line}: {reason}" if line else f"{path}: {reason}")
        self.path = path
        self.line = line
        self.reason = reason


def _ago(_: click.Context, param: click.Parameter, value: str | None) -> datetime | None:
    """Return the moment so long ago; None where nothing was asked."""
    if value is None:
        return None
    found = re.fullmatch(r"(\d{1,5})([smhd])", value)
    if found is None:
        reason = f"{value!r} is no duration: a number with s, m, h or d, such as 24h"
        raise click.BadParameter(reason, param=param)
    return datetime.now(UTC) - timedelta(**{_UNITS[found[2]]: int(found[1])})


since_option = click.option(
    "--since",
    metavar="DURATION",
    callback=_ago,
    help="Only requests accepted in the last so many s, m, h or d, such as 24h. [default: all]",
)


def read_file(path: Path) -> Iterator[Event]:
    """Yield each event of a file, as often as it stands there.

    A line holds one ``Event`` or ``Events`` as JSON; empty lines are passed over.
    Raises: UnusableEvents, with the line that is no event.
    """
    try:
        with path.open("rb") as lines:
            for number, line in enumerate(lines, 1):
                if not line.strip():
                    continue
                yield from _events(path, number, line)
    except OSError as error:
        raise UnusableEvents(path, error.strerror or type(error).__name__) from error


def _events(path: Path, number: int, line: bytes) -> tuple[Event, ...]:
    try:
        return parse_events(line).events
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        reason = f"no event: {where}: {first['msg']}" if where else f"no event: {first['msg']}"
        raise UnusableEvents(path, reason, line=number) from error


def each_event(
    source: str,
    take: Callable[[Event], None],
    *,
    since: datetime | None,
    state_dir: Path,
    nats_url: str | None,
) -> int:
    """Give ``take`` each event of ``source``, a file or ``stream``; return how many there were.

    ``since`` leaves out whole requests, by when they were accepted.
    Raises: UnusableEvents; click.ClickException if there is no bus.
    """
    count = 0

    def counted(event: Event) -> None:
        nonlocal count
        if since is None or event.context.accepted_at >= since:
            count += 1
            take(event)

    async def from_stream() -> None:
        async with bus(state_dir, nats_url) as transport:
            async for event in read_events(transport, since=since):
                counted(event)

    if source == STREAM:
        asyncio.run(from_stream())
    else:
        for event in read_file(Path(source)):
            counted(event)
    return count


@click.command("events")
@click.option("--out", type=click.File("wb", atomic=True), required=True, help="File, or -.")
@since_option
@state_dir_option
@nats_option
def events(out: BinaryIO, since: datetime | None, state_dir: Path, nats_url: str | None) -> None:
    """Write what LLM_EVENTS holds to a file, one event a line: decisions and counts, no content."""

    def write(event: Event) -> None:
        out.write(redacted_json(event) + b"\n")

    count = each_event(STREAM, write, since=since, state_dir=state_dir, nats_url=nats_url)
    click.echo(f"{count} events", err=True)
