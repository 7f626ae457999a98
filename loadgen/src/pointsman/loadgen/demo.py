"""The demo's course: the named scenarios one after another, then everyday requests together.

Knows an ingress by its address and events by a callable; starts no service and no server.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol, TextIO

import httpx
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn

from pointsman.contracts.messages import Event
from pointsman.loadgen.client import CONCURRENCY, ClientResult, ingress_client, send_all
from pointsman.loadgen.report import DemoReport, report
from pointsman.loadgen.rows import Row, has_outcome, row_of
from pointsman.loadgen.scenarios import (
    DataAbsent,
    Scenario,
    ScenarioBook,
    everyday,
    requests_from,
)
from pointsman.routes.registry import ModelRegistry

EventsOf = Callable[[str], Sequence[Event]]
"""Returns the events of one request seen so far, by request id."""

SETTLE_S = 10.0
POLL_S = 0.05


class DemoProgress(Protocol):
    """Where the demo says how far it is; never standard output."""

    def begin(self, label: str, total: int) -> None: ...
    def advance(self, note: str) -> None: ...
    def end(self) -> None: ...


async def run_demo(
    *,
    base_url: str,
    events_of: EventsOf,
    scenarios: ScenarioBook,
    registry: ModelRegistry,
    data_dir: Path | None,
    progress: DemoProgress,
    api_key: str | None = None,
    requests: int = 100,
    concurrency: int = CONCURRENCY,
) -> DemoReport:
    """Send everything, wait for its events, and return the report.

    ``data_dir`` holds real requests; the scenario file's own are used where it is absent.
    """
    chosen, source = _requests(scenarios, data_dir, requests)
    async with ingress_client(base_url, api_key=api_key) as client:
        named = await _phase(client, "scenarios", scenarios.scenarios, progress, concurrency=1)
        mixed = await _phase(client, "requests", chosen, progress, concurrency=concurrency)
    deadline = time.monotonic() + SETTLE_S
    named_rows = [await _settled_row(one, events_of, registry, deadline) for one in named]
    mixed_rows = [await _settled_row(one, events_of, registry, deadline) for one in mixed]
    expectations = {one.name: one.expect for one in scenarios.scenarios if one.expect}
    return report(
        named_rows, mixed_rows, expectations=expectations, registry=registry, source=source
    )


def _requests(
    book: ScenarioBook, data_dir: Path | None, count: int
) -> tuple[tuple[Scenario, ...], str]:
    if data_dir is not None:
        try:
            return requests_from(data_dir, count=count), "sampled from the data folder"
        except DataAbsent:
            pass
    return everyday(book, count=count), "the project's own; no data folder"


async def _phase(
    client: httpx.AsyncClient,
    label: str,
    scenarios: Sequence[Scenario],
    progress: DemoProgress,
    *,
    concurrency: int,
) -> tuple[ClientResult, ...]:
    progress.begin(label, len(scenarios))
    try:
        return await send_all(
            client,
            scenarios,
            concurrency=concurrency,
            on_result=lambda result: progress.advance(f"HTTP {result.status}"),
        )
    finally:
        progress.end()


async def _settled_row(
    result: ClientResult, events_of: EventsOf, registry: ModelRegistry, deadline: float
) -> Row:
    """The row once the request's outcome is among its events, or what is there by the deadline."""
    events: Sequence[Event] = ()
    if result.request_id is not None:
        events = events_of(result.request_id)
        while not has_outcome(events) and time.monotonic() < deadline:
            await asyncio.sleep(POLL_S)
            events = events_of(result.request_id)
    return row_of(result, events, registry)


def progress_on(stream: TextIO) -> DemoProgress:
    """Return a bar where ``stream`` is a terminal, plain lines elsewhere."""
    console = Console(file=stream)
    return _Bar(console) if console.is_terminal else _Lines(stream)


class _Bar:
    """A bar that a terminal redraws in place."""

    def __init__(self, console: Console) -> None:
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
        self._progress = Progress(*columns, TextColumn("{task.fields[note]}"), console=console)
        self._task: TaskID | None = None

    def begin(self, label: str, total: int) -> None:
        self._progress.start()
        self._task = self._progress.add_task(label, total=total, note="")

    def advance(self, note: str) -> None:
        if self._task is not None:
            self._progress.update(self._task, advance=1, note=note)

    def end(self) -> None:
        self._progress.stop()


class _Lines:
    """One line at the start, at each tenth and at the end, for logs."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._label = ""
        self._total = 0
        self._done = 0

    def begin(self, label: str, total: int) -> None:
        self._label, self._total, self._done = label, total, 0
        self._say("started")

    def advance(self, note: str) -> None:
        self._done += 1
        if self._done % max(1, self._total // 10) == 0:
            self._say(note)

    def end(self) -> None:
        if self._done != self._total:
            self._say("stopped")

    def _say(self, note: str) -> None:
        print(f"{self._label} {self._done}/{self._total} {note}", file=self._stream, flush=True)
