"""What a comparison of platform and twin shows: figures of both sides, and where they disagree.

Owns the arithmetic over compared requests, and the text and JSON of it. Compares nothing itself.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from decimal import Decimal
from typing import Any

from pointsman.evaluation.pipeline_passage import Difference, Passage
from pointsman.evaluation.pipeline_route import CascadeRoute
from pointsman.loadgen.recordings import Recording


@dataclass(frozen=True, kw_only=True)
class Totals:
    """What a side's requests came to. ``strong`` counts its answers that were returned.

    ``strong_asked`` counts requests that the strong model was asked, and so paid for; where the
    judge liked an earlier answer better, that one was returned. ``loops_cut`` counts answers that
    were stopped because they ran in circles, ``tokens_not_said`` what these models went on to say
    when they were recorded.
    """

    requests: int
    answered: int
    correct: int
    strong: int
    strong_asked: int
    attempts: int
    input_tokens: int
    output_tokens: int
    loops_cut: int
    tokens_not_said: int
    cost_usd: Decimal


@dataclass(frozen=True, kw_only=True)
class Compared:
    """One recording, its way through the platform and through the twin, and where they differ."""

    recording: Recording
    pipeline: Passage
    offline: Passage
    differences: tuple[Difference, ...]


@dataclass(frozen=True, kw_only=True)
class PipelineReport:
    """The comparison of a sample. ``duration_s`` is the whole run's, starting included."""

    route: CascadeRoute
    file: str
    rows: tuple[Compared, ...]
    duration_s: float

    @property
    def disagreements(self) -> tuple[Compared, ...]:
        return tuple(row for row in self.rows if row.differences)

    @property
    def agrees(self) -> bool:
        return not self.disagreements

    @property
    def pipeline(self) -> Totals:
        return _totals(self.route, [(row.recording, row.pipeline) for row in self.rows])

    @property
    def offline(self) -> Totals:
        return _totals(self.route, [(row.recording, row.offline) for row in self.rows])

    @property
    def always_strong(self) -> Totals:
        """What the strong model alone would come to, by its recorded answers."""
        strong = self.route.strong
        answers = [row.recording.answers[strong] for row in self.rows]
        input_tokens = sum(row.recording.prompt_tokens for row in self.rows)
        output_tokens = sum(answer.output_tokens for answer in answers)
        return Totals(
            requests=len(self.rows),
            answered=len(self.rows),
            correct=sum(answer.correct for answer in answers),
            strong=len(self.rows),
            strong_asked=len(self.rows),
            attempts=len(self.rows),
            input_tokens=input_tokens,
            output_tokens=output_tokens,
            loops_cut=0,
            tokens_not_said=0,
            cost_usd=self.route.cost_usd(strong, input_tokens, output_tokens),
        )

    def lines(self) -> list[str]:
        """Return the report as text."""
        count, agreed = len(self.rows), len(self.rows) - len(self.disagreements)
        categories = Counter(row.recording.category for row in self.rows)
        lines = [
            f"pipeline against offline twin: {count} recorded prompts of {self.file} in"
            f" {len(categories)} categories, {self.duration_s:.0f} s",
            f"route: {self.route}",
            f"agree: {agreed} of {count}"
            " (signals, decision, attempts, tokens, cost, checks, score, answer)",
            *_table(
                {
                    "pipeline": self.pipeline,
                    "offline": self.offline,
                    f"always {self.route.strong}": self.always_strong,
                }
            ),
        ]
        for row in self.disagreements:
            lines.append(f"disagree: {row.recording.id} ({row.recording.category})")
            lines += [f"  {difference}" for difference in row.differences]
        return lines

    def as_json(self) -> dict[str, Any]:
        """Return figures and disagreements; money as text."""
        return {
            "file": self.file,
            "rows": len(self.rows),
            "agree": len(self.rows) - len(self.disagreements),
            "pipeline": _totals_json(self.pipeline),
            "offline": _totals_json(self.offline),
            "always_strong": _totals_json(self.always_strong),
            "disagreements": {
                row.recording.id: [str(difference) for difference in row.differences]
                for row in self.disagreements
            },
            "duration_s": round(self.duration_s, 1),
        }


def _totals(route: CascadeRoute, rows: Sequence[tuple[Recording, Passage]]) -> Totals:
    answered = [(row, passage.model) for row, passage in rows if passage.model]
    usages = [attempt.usage for _, passage in rows for attempt in passage.attempts]
    cut = [(row.answers[fact.model], fact.usage) for row, way in rows for fact in way.loops_cut]
    return Totals(
        requests=len(rows),
        answered=len(answered),
        correct=sum(row.answers[model].correct for row, model in answered),
        strong=sum(model == route.strong for _, model in answered),
        strong_asked=sum(
            any(attempt.model == route.strong for attempt in passage.attempts)
            for _, passage in rows
        ),
        attempts=len(usages),
        input_tokens=sum(usage.input_tokens for usage in usages),
        output_tokens=sum(usage.output_tokens for usage in usages),
        loops_cut=len(cut),
        tokens_not_said=sum(whole.output_tokens - said.output_tokens for whole, said in cut),
        cost_usd=sum((usage.cost_usd for usage in usages), Decimal(0)),
    )


def _totals_json(totals: Totals) -> dict[str, Any]:
    return {name: str(v) if isinstance(v, Decimal) else v for name, v in vars(totals).items()}


def _table(sides: Mapping[str, Totals]) -> list[str]:
    """The totals as text, a line a side."""
    names = [field.name for field in fields(Totals)]
    cells = [["", *(name.replace("_", " ") for name in names)]]
    cells += [[side, *(_shown(getattr(t, name)) for name in names)] for side, t in sides.items()]
    widths = [max(len(row[column]) for row in cells) for column in range(len(cells[0]))]
    return ["  ".join(c.rjust(w) for c, w in zip(row, widths, strict=True)) for row in cells]


def _shown(value: int | Decimal) -> str:
    return f"{value:.6f}" if isinstance(value, Decimal) else f"{value:,}"
