"""How an evaluation is shown: tables for people, JSON for what compares runs."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.table import Table

from pointsman.evaluation.figures import Row

Sections = Mapping[str, Sequence[Row]]
"""Rows by the title of their table, in the order of printing."""

_WIDTH = 150


def print_report(sections: Sections, *, notes: Sequence[str] = ()) -> None:
    """Print the notes and one table a section."""
    # A pipe has no width of its own; 80 columns would break every line.
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=_WIDTH)
    for note in notes:
        console.print(note, markup=False)
    for title, rows in sections.items():
        console.print(_table(title, rows))


def write_report(path: Path, sections: Sections, *, notes: Sequence[str] = ()) -> None:
    """Write what ``print_report`` prints, with each row's verdict; NaN becomes null."""
    content = {
        "notes": list(notes),
        "sections": {
            title: [_without_nan({**asdict(row), "verdict": row.verdict}) for row in rows]
            for title, rows in sections.items()
        },
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=2) + "\n")


def _without_nan(fields: Mapping[str, object]) -> dict[str, object]:
    return {name: None if value != value else value for name, value in fields.items()}  # noqa: PLR0124 (NaN alone is not itself)


def _table(title: str, rows: Sequence[Row]) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold")
    for name in ("figure", "value", "95 %", "baseline", "goal", "moonshot", "verdict", "note"):
        is_number = name in {"value", "95 %", "baseline", "goal", "moonshot"}
        table.add_column(name, justify="right" if is_number else "left", no_wrap=name == "value")
    for row in rows:
        span = (
            "" if row.low is None or row.high is None else f"{_shown(row.low)} … {_shown(row.high)}"
        )
        unit = f" {row.unit}" if row.unit else ""
        table.add_row(
            row.name,
            f"{_shown(row.value)}{unit}",
            span,
            *(_shown(value) for value in (row.baseline, row.goal, row.moonshot)),
            row.verdict,
            row.note,
        )
    return table


def _shown(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
