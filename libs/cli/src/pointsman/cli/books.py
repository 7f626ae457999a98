"""``pointsman ledger report``: the books as a table, or as one JSON document."""

from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from pointsman.accounting.adapters.report import Dimension, Report, ledger_report, open_ledger
from pointsman.accounting.adapters.tables import UnusableLedger

LEDGER_FILE = "ledger.sqlite"


def print_report(state_dir: Path, url: str | None, *, by: Dimension, as_json: bool) -> None:
    """Print the report on the ledger at ``url``, or in the state folder.

    Raises: click.ClickException if there is no ledger.
    """
    try:
        engine = open_ledger(url or ledger_url(state_dir))
    except UnusableLedger as error:
        raise click.ClickException(str(error)) from error
    try:
        report = ledger_report(engine, by=by)
    finally:
        engine.dispose()
    if as_json:
        click.echo(report.model_dump_json(indent=2))
    else:
        _render(report, by)


def _render(report: Report, by: Dimension) -> None:
    console = Console()
    if not console.is_terminal:
        console = Console(width=110)
    table = Table(title=f"ledger by {by}")
    table.add_column(by)
    for name in ("requests", "calls", "tokens in", "tokens out", "tool tokens saved", "USD"):
        table.add_column(name, justify="right")
    for group in report.groups[by]:
        table.add_row(
            group.key or f"(no {by})",
            str(group.requests),
            str(group.model_calls),
            f"{group.input_tokens:,}",
            f"{group.output_tokens:,}",
            f"{group.saved_tokens:,}",
            f"{group.cost_usd:.6f}",
        )
    console.print(table)
    ended = ", ".join(f"{count} {kind}" for kind, count in sorted(report.outcomes.items()))
    console.print(f"outcomes: {ended or 'none'}; {report.flagged} flagged")
    console.print(say_consistency(report))


def ledger_url(state_dir: Path) -> str:
    """Return where the ledger of a laptop lies."""
    return f"sqlite:///{(state_dir / LEDGER_FILE).resolve()}"


def say_consistency(report: Report) -> str:
    """Return one line: whether every request ended once and every cost adds up."""
    books = report.consistency
    if books.is_consistent:
        return "the books agree: every request ended once, every cost adds up"
    return (
        f"the books do not agree: {len(books.open_requests)} requests without an outcome, "
        f"{len(books.cost_mismatches)} costs that do not add up, "
        f"{len(books.outcomes_without_entries)} outcomes without entries, "
        f"{len(books.refused)} refused postings"
    )
