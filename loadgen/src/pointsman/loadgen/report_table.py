"""The report for people: one line per request, then totals, comparison and broken expectations.

Fits 120 columns. Colour carries no meaning, so the same text reads well in a file.
"""

from collections.abc import Sequence
from decimal import Decimal

from rich.console import Console
from rich.table import Table
from rich.text import Text

from pointsman.loadgen.report import DemoReport
from pointsman.loadgen.rows import STAGES, Row

WIDTH = 120
_COLUMNS = (
    ("prompt", 20),
    ("classification", 15),
    ("model", 19),
    ("ms by stage", 18),
    ("in/out", 10),
    ("saved", 7),
    ("cost", 7),
    ("score", 7),
    ("outcome", 9),
)
_NUMBERS = frozenset({"in/out", "saved", "cost"})


def render(report: DemoReport, console: Console | None = None) -> None:
    """Print ``report``; a console that is no terminal gets 120 columns and no colour."""
    console = console or Console()
    if not console.is_terminal:
        console = Console(file=console.file, width=WIDTH, color_system=None)
    shown = ", ".join(report.simulated_models) or "none"
    console.print(Text(f"Simulated models: {shown}. Their answers, pace and tokens are declared."))
    named = "The talk's prompts and one escalation"
    mixed = f"Everyday requests ({report.source})"
    console.print(table(named, report.scenarios, columns=console.width))
    console.print(table(mixed, report.requests, columns=console.width))
    console.print(Text(f"ms by stage: {' / '.join(STAGES)}; - means the stage did not run."))
    _totals(report, console)
    _comparison(report, console)
    _expectations(report, console)


def table(title: str, rows: Sequence[Row], *, columns: int = WIDTH) -> Table:
    """Return the rows as a table, one line each; columns beyond 120 go to the prompt."""
    built = Table(title=title, title_justify="left", box=None, pad_edge=False, padding=(0, 1, 0, 0))
    for name, width in _COLUMNS:
        wide = width + max(0, columns - WIDTH) if name == "prompt" else width
        built.add_column(
            name,
            width=wide,
            no_wrap=True,
            overflow="ellipsis",
            justify="right" if name in _NUMBERS else "left",
        )
    for row in rows:
        built.add_row(*(Text(cell) for cell in cells(row)))
    return built


def cells(row: Row) -> tuple[str, ...]:
    """Return the texts of one line: prompt, classification, model and so on to the outcome."""
    classified = f"{row.intent} {row.complexity:.2f} {row.domain}" if row.intent else "-"
    saved = f"{row.tool_tokens_saved:,}" if row.has_tools else "-"
    scores = ">".join("?" if a.score is None else f"{a.score:g}" for a in row.attempts)
    return (
        " ".join(row.prompt.split()),
        classified,
        row.model or "-",
        "/".join(_ms(row.stages_ms.get(stage)) for stage in STAGES),
        f"{row.input_tokens}/{row.output_tokens}" if row.model_calls else "-",
        saved,
        money(row.cost_usd),
        scores or "-",
        row.outcome,
    )


def money(amount: Decimal) -> str:
    return f"${amount:.4f}"


def _ms(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.0f}" if value >= 1 else "<1"


def _totals(report: DemoReport, console: Console) -> None:
    total = report.totals
    outcomes = ", ".join(f"{count} {name}" for name, count in sorted(total.outcomes.items()))
    models = ", ".join(f"{count} {name}" for name, count in sorted(total.models.items()))
    stages = ", ".join(f"{stage} {ms:g}" for stage, ms in total.stages_p50_ms.items())
    lines = (
        f"Totals: {total.requests} requests: {outcomes}; answered by: {models or 'nobody'}.",
        f"  {total.attempts} attempts, {total.escalated} requests with more than one,"
        f" {total.model_calls} model calls.",
        f"  {total.input_tokens:,} tokens in, {total.output_tokens:,} out;"
        f" {total.tool_tokens_saved:,} tool tokens saved; {money(total.cost_usd)}.",
        f"  latency p50 {total.latency_p50_s:.3f} s, p95 {total.latency_p95_s:.3f} s;"
        f" ms p50 by stage: {stages}.",
    )
    console.print()
    for line in lines:
        console.print(Text(line))


def _comparison(report: DemoReport, console: Console) -> None:
    found = report.comparison
    fits = "fits" if found.catalogue_fits_context else "does not fit"
    lines = (
        f"Against everything on {found.big_model}: routed {money(found.routed_usd)}; same tokens"
        f" {money(found.same_tokens_usd)}; with the whole catalogue"
        f" {money(found.whole_catalogue_usd)}",
        f"  ({found.requests_with_tools} requests had tools; the catalogue {fits} its context"
        " window).",
        *(f"  Assumed: {assumption}" for assumption in found.assumptions),
    )
    for line in lines:
        console.print(Text(line))


def _expectations(report: DemoReport, console: Console) -> None:
    broken = {failure.request for failure in report.failures}
    for row in report.scenarios:
        expect = report.expectations.get(row.name)
        if expect is None:
            continue
        cost = ""
        if expect.cost_usd is not None:
            cost = (
                f", ${row.cost_usd:.6f} (expected ${expect.cost_usd} ±{expect.cost_tolerance:.0%})"
            )
        mark = "FAILED" if row.name in broken else "ok"
        line = f"{mark:6} {row.name}: {row.outcome}, {row.model or 'no model'}{cost}"
        console.print(Text(line))
    for failure in report.failures:
        console.print(Text(f"FAILED {failure.request}: {failure.message}"))
