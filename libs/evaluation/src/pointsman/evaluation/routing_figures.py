"""The rows of the routing report: what a cascade reaches, promises and costs.

Owns which figures are shown, with their goals. How a threshold is found is in ``routing_policy``.
"""

from dataclasses import dataclass

import numpy as np

from pointsman.evaluation.figures import (
    Floats,
    Indices,
    Row,
    Truths,
    aurc,
    auroc,
    calibration_error,
    call_curve,
    interval,
    risk_at,
)
from pointsman.evaluation.recordings import Table
from pointsman.evaluation.routing_folds import Scored
from pointsman.evaluation.routing_outcomes import (
    Answers,
    Kept,
    answers_of,
    keeping_accuracy,
    kept_promise,
    scores,
    spent,
)

PROMISE = 0.95
"""The share of the strong model's accuracy that is promised."""
_SURE = 0.0025
"""Accuracy over the promise that a threshold aims at on training rows: others differ by chance."""


@dataclass(frozen=True, kw_only=True)
class Aims:
    """Goal and moonshot, and the plain baseline where one was measured."""

    goal: float
    moonshot: float
    baseline: float | None = None


def curve_rows(
    small: Truths,
    strong: Truths,
    score: Floats,
    aims: Aims | None,
    *,
    note: str = "",
    weak: Truths | None = None,
) -> list[Row]:
    """Return APGR, CPT50 and CPT80 of a score. Shapes: all (n,).

    The gap begins at ``weak``'s accuracy, by default at that of ``small``.
    """
    begin = small if weak is None else weak

    def apgr(rows: Indices) -> float:
        curve = call_curve(score[rows], small[rows], strong[rows])
        return curve.apgr(weak=float(begin[rows].mean()))

    curve, least = call_curve(score, small, strong), float(begin.mean())
    low, high = interval(apgr, len(score))
    return [
        Row(
            name="APGR",
            value=curve.apgr(weak=least),
            low=low,
            high=high,
            goal=aims.goal if aims else None,
            moonshot=aims.moonshot if aims else None,
            baseline=aims.baseline if aims else None,
            note=note,
        ),
        *(
            Row(
                name=f"CPT{part:.0%}".rstrip("%"),
                value=100 * curve.cpt(part, weak=least),
                unit="%",
                better="lower",
                note="of requests call the strong model",
            )
            for part in (0.5, 0.8)
        ),
        random_row(begin, strong),
    ]


def random_row(weak: Truths, strong: Truths) -> Row:
    """Return the self-test: what a router that throws dice recovers."""
    random = np.random.default_rng(0)
    found = [call_curve(random.random(len(weak)), weak, strong).apgr() for _ in range(200)]
    value = float(np.mean(found))
    fits = abs(value - 0.5) <= 0.01
    return Row(
        name="APGR of a random router",
        value=value,
        note=f"self-test, 0.50 +- 0.01: {'passed' if fits else 'FAILED'}",
    )


def acceptance_rows(probability: Floats, truth: Truths, calibration: Aims | None) -> list[Row]:
    """Return how well acceptance of the weak answers is told. Shapes: (n,)."""
    count = len(truth)
    error = interval(lambda rows: calibration_error(probability[rows], truth[rows]), count)
    rank = interval(lambda rows: auroc(probability[rows], truth[rows]), count)
    risks = ", ".join(
        f"{risk_at(probability, truth, kept):.1%} of the {kept:.0%}" for kept in (0.2, 0.5, 0.8)
    )
    return [
        Row(
            name="calibration error of acceptance",
            value=calibration_error(probability, truth),
            low=error[0],
            high=error[1],
            goal=calibration.goal if calibration else None,
            moonshot=calibration.moonshot if calibration else None,
            better="lower",
            note=f"ECE, 15 bins; a perfect one shows {_by_chance(probability):.3f} on so many rows",
        ),
        Row(
            name="AUROC of acceptance",
            value=auroc(probability, truth),
            low=rank[0],
            high=rank[1],
        ),
        Row(
            name="area under risk and coverage",
            value=aurc(probability, truth),
            better="lower",
            note=f"wrong: {risks} most trusted",
        ),
    ]


def _by_chance(probability: Floats) -> float:
    """The calibration error of probabilities that are exactly true, on as many rows."""
    random = np.random.default_rng(0)
    drawn = [random.random(len(probability)) < probability for _ in range(50)]
    return float(np.mean([calibration_error(probability, truth) for truth in drawn]))


def promise_rows(table: Table, scored: Scored, aims: Aims | None, *, note: str) -> list[Row]:
    """Return what is saved at ``PROMISE`` of the strong accuracy, and whether that was kept."""
    answers, kept = _promised(table, scored, second_look=True)
    right, always = kept.right(answers), table.strong[kept.rows]
    dollars = spent(table.small_dollars, table.strong_dollars, table.always_dollars, kept)
    tokens = spent(table.small_tokens, table.strong_tokens, table.always_tokens, kept)
    every = np.arange(len(kept.rows))
    low, high = interval(lambda at: 100 * (1 - dollars(at)), len(every))

    def above(at: Indices) -> float:
        return 100 * float(right[at].mean() - PROMISE * always[at].mean())

    least, most = interval(above, len(every))
    return [
        Row(
            name=f"dollars saved at {PROMISE:.0%} of the strong accuracy",
            value=100 * (1 - dollars(every)),
            low=low,
            high=high,
            goal=aims.goal if aims else None,
            moonshot=aims.moonshot if aims else None,
            baseline=aims.baseline if aims else None,
            unit="%",
            note=note,
        ),
        Row(
            name="accuracy above that promise",
            value=above(every),
            low=least,
            high=most,
            goal=-1.0,
            unit="points",
            note=f"threshold from training rows; accuracy {right.mean():.1%},"
            f" strong called {kept.calls[kept.rows].mean():.0%},"
            f" tokens {tokens(every):.0%} of always-strong's",
        ),
        _plain_row(table, scored),
    ]


def _promised(table: Table, scored: Scored, *, second_look: bool) -> tuple[Answers, Kept]:
    score = scores(table, scored, "gain per dollar")
    answers = answers_of(table, scored, second_look=second_look)

    def wanted(rows: Indices) -> float:
        return PROMISE * float(table.strong[rows].mean()) + _SURE

    return answers, kept_promise(table, scored, score, keeping_accuracy(answers, score, wanted))


def _plain_row(table: Table, scored: Scored) -> Row:
    """What is left of the savings without the two things that happen after a strong call."""
    answers, kept = _promised(table, scored, second_look=False)
    dollars = spent(table.small_dollars, table.always_dollars, table.always_dollars, kept)
    right, always = kept.right(answers).mean(), table.strong[kept.rows].mean()
    return Row(
        name="the same, every strong answer returned and paid whole",
        value=100 * (1 - dollars(np.arange(len(kept.rows)))),
        unit="%",
        note="for comparison; accuracy above the promise"
        f" {100 * (right - PROMISE * always):+.2f} points",
    )
