"""How the ledger's cost grows with its rows: ``python -m pointsman.accounting.growth``.

Owns the measuring and the table; the requests are in ``history``. Fills a ledger of its own: a
temporary SQLite file, or the empty database at ``--url``. Recording is measured in this process's
CPU, from handler to commit; reading in seconds that pass.
"""

import argparse
import asyncio
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from statistics import median

from pointsman.accounting.adapters.postings import write
from pointsman.accounting.adapters.report import (
    ledger_report,
    open_ledger,
    request_entries,
    request_outcomes,
)
from pointsman.accounting.adapters.tables import open_engine
from pointsman.accounting.adapters.writer import open_writer
from pointsman.accounting.handler import Deps, record
from pointsman.accounting.history import BETWEEN, History
from pointsman.contracts.messages import Events

RECENT_REQUESTS = 100
"""What a report ``since`` is asked for, however many there are before them."""

FILL_ROWS = 20_000
MESSAGES = 50
TRACES = 100
REPORTS = 3
PATIENCE = timedelta(seconds=60)

SIZE_OF = {
    "sqlite": "SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()",
    "postgresql": "SELECT pg_total_relation_size('entries') + pg_total_relation_size('outcomes')",
}

STEEP = 1.5
"""Times beyond what must be, from which a reason is printed."""

LEAVES = (
    "request ids are random: in a large index each request of a batch has a page of its own, read "
    "and written to the log; in a small one they share a few"
)


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One column: how it is printed, how it must grow, and why it may be steeper."""

    title: str
    scale: float
    why: str
    per_row: bool = False


FIGURES = (
    Figure(title="us/event of 8", scale=1e6, why=LEAVES),
    Figure(title="us/event of 64", scale=1e6, why=LEAVES),
    Figure(title="trace ms", scale=1e3, why="the key's index is deeper"),
    Figure(title="report since ms", scale=1e3, why="the recent rows' requests are on more pages"),
    Figure(title="report s", scale=1, per_row=True, why="groups and requests are found by sorting"),
    Figure(title="MB", scale=1e-6, per_row=True, why="pages of random keys are not full"),
)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Measure how the ledger's cost grows.")
    parser.add_argument("--rows", default="1000,1000000", help="sizes, smallest first")
    parser.add_argument("--url", help="an empty database, instead of a temporary SQLite file")
    options = parser.parse_args(arguments)
    sizes = [int(size) for size in str(options.rows).split(",")]
    _say("CPU of one event in messages of 8 and of 64; a trace; reports; the database's size")
    _say(f"{'rows':>10}" + "".join(f"{figure.title:>17}" for figure in FIGURES))
    with tempfile.TemporaryDirectory(prefix="pm-growth-") as folder:
        url = options.url or f"sqlite:///{folder}/ledger.sqlite"
        history = History()
        measured: dict[int, list[float]] = {}
        for size in sizes:
            filled_s = fill(url, history, size)
            measured[size] = values = measure(url, history)
            cells = [f"{v * f.scale:>17,.3f}" for v, f in zip(values, FIGURES, strict=True)]
            _say(f"{size:>10,}{''.join(cells)}   filled in {filled_s:.0f} s")
    for line in growth(measured):
        _say(line)
    return 0


def fill(url: str, history: History, rows: int) -> float:
    """Let the ledger grow to ``rows``; return the seconds it took."""
    started = time.perf_counter()
    engine = open_engine(url, lock_timeout=PATIENCE, for_writing=True)
    while history.rows < rows:
        write(engine, history.postings(min(FILL_ROWS, rows - history.rows)))
    engine.dispose()
    return time.perf_counter() - started


def measure(url: str, history: History) -> list[float]:
    """Return a value for each of ``FIGURES``: seconds, and bytes."""
    engine = open_ledger(url, lock_timeout=PATIENCE)
    since = history.now - RECENT_REQUESTS * BETWEEN
    with engine.connect() as connection:
        size = connection.exec_driver_sql(SIZE_OF[engine.dialect.name]).scalar_one()

    def trace(request_id: str) -> None:
        assert request_entries(engine, request_id)
        request_outcomes(engine, request_id)

    reading = [
        median(_seconds(lambda id_=id_: trace(id_)) for id_ in history.some_ids(TRACES)),
        min(_seconds(lambda: ledger_report(engine, since=since)) for _ in range(REPORTS)),
        min(_seconds(lambda: ledger_report(engine)) for _ in range(REPORTS)),
    ]
    engine.dispose()
    writing = [asyncio.run(_recording(url, history, size)) for size in (8, 64)]
    return [*writing, *reading, float(size)]


async def _recording(url: str, history: History, size: int) -> float:
    """CPU of one event, in messages of ``size`` one after the other, handler to commit."""
    seconds: list[float] = []
    async with open_writer(
        url, batch_rows=256, write_timeout=PATIENCE, lock_timeout=PATIENCE
    ) as ledger:
        deps = Deps(ledger=ledger)
        for _ in range(MESSAGES):
            events = Events(events=history.events(size))
            started = time.process_time()
            recorded = await record(events, deps=deps)
            seconds.append(time.process_time() - started)
            assert recorded.rows == size
    return median(seconds) / size


def growth(measured: dict[int, list[float]]) -> list[str]:
    """Say how much each figure grew from the smallest to the largest ledger, and why if steeper."""
    (small, before), (large, after) = min(measured.items()), max(measured.items())
    lines = [f"from {small:,} to {large:,} rows ({large / small:,.0f} times as many)"]
    for figure, old, new in zip(FIGURES, before, after, strict=True):
        must = large / small if figure.per_row else 1.0
        times = new / old
        verdict = f"steeper: {figure.why}" if times > STEEP * must else "as it must"
        expected = "as the rows" if figure.per_row else "not at all"
        lines.append(f"{figure.title:>17}  x{times:<8.1f} should grow {expected}; {verdict}")
    return lines


def _seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
