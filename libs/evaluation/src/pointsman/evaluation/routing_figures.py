"""The rows of the routing report: what a cascade reaches, promises and costs.

Owns which figures are shown, with their goals. How a threshold is found is in ``routing_policy``.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from pointsman.evaluation.figures import (
    CallCurve,
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
from pointsman.evaluation.routing_folds import ACCEPTABLE, SIBLING, STRONGER, TOKENS, Scored
from pointsman.evaluation.routing_policy import (
    By,
    Policy,
    calls_at,
    score_of,
    threshold_reaching,
    threshold_within,
)
from pointsman.judge.domain.acceptance import Estimate

PROMISE = 0.95
"""The share of the strong model's accuracy that is promised."""


@dataclass(frozen=True, kw_only=True)
class Aims:
    """Goal and moonshot, and the plain baseline where one was measured."""

    goal: float
    moonshot: float
    baseline: float | None = None


def curve_rows(
    weak: Truths, strong: Truths, score: Floats, aims: Aims | None, *, note: str = ""
) -> list[Row]:
    """Return APGR, CPT50 and CPT80 of a score. Shapes: all (n,)."""
    curve = call_curve(score, weak, strong)

    def apgr(rows: Indices) -> float:
        return call_curve(score[rows], weak[rows], strong[rows]).apgr()

    low, high = interval(apgr, len(score))
    return [
        Row(
            name="APGR",
            value=curve.apgr(),
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
                value=100 * curve.cpt(part),
                unit="%",
                better="lower",
                note="of requests call the strong model",
            )
            for part in (0.5, 0.8)
        ),
        random_row(weak, strong),
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


def gain_of(estimates: Floats) -> Floats:
    return estimates[:, STRONGER] - estimates[:, ACCEPTABLE]


def best_small_curve(table: Table, scored: Scored) -> CallCurve:
    """Return the curve where the more trusted of the two small answers is kept.

    Its gaps are still measured from the weak model alone to the strong one.
    """
    rows, found = scored.rows, scored.estimates[scored.rows]
    takes_sibling = found[:, SIBLING] > found[:, ACCEPTABLE]
    kept = np.where(takes_sibling, table.sibling[rows], table.weak[rows])
    trust = np.maximum(found[:, SIBLING], found[:, ACCEPTABLE])
    return call_curve(found[:, STRONGER] - trust, kept, table.strong[rows])


@dataclass(frozen=True, kw_only=True)
class Kept:
    """What a threshold that was fixed beforehand came to. Shapes: calls (n,) of all table rows."""

    calls: Truths
    rows: Indices

    def right(self, table: Table) -> Truths:
        return np.where(self.calls, table.strong, table.weak)[self.rows]


def scores(table: Table, scored: Scored, by: By) -> Floats:
    """Return each row's score; NaN where there is no estimate."""
    policy = Policy(cascade=table.cascade, by=by, threshold=0.0)
    found = np.full(len(table), np.nan)
    for row in np.flatnonzero(~np.isnan(scored.estimates[:, ACCEPTABLE])):
        values = scored.estimates[row]
        estimate = Estimate(
            acceptable=float(values[ACCEPTABLE]),
            sibling=float(values[SIBLING]),
            stronger=float(values[STRONGER]),
            tokens=float(values[TOKENS]),
        )
        found[row] = score_of(estimate, policy, prompt_tokens=float(table.prompt_tokens[row]))
    return found


def kept_promise(
    table: Table, scored: Scored, score: Floats, threshold_of: Callable[[Indices], float]
) -> Kept:
    """Apply each part's own threshold. ``threshold_of`` finds one on the rows it is given."""
    calls = np.zeros(len(table), np.bool_)
    for part in scored.parts:
        calls |= calls_at(table, score, part.rows, threshold_of(part.tune))
    return Kept(calls=calls, rows=scored.rows)


def keeping_accuracy(
    table: Table, score: Floats, wanted: Callable[[Indices], float]
) -> Callable[[Indices], float]:
    """Return how to find the threshold that is as accurate as ``wanted`` on the rows given."""
    return lambda rows: threshold_reaching(
        score[rows], table.weak[rows], table.strong[rows], accuracy=wanted(rows)
    )


def within_tokens(table: Table, score: Floats, share: float) -> Callable[[Indices], float]:
    """Return how to find the threshold that costs ``share`` of always-strong's tokens."""
    return lambda rows: threshold_within(
        score[rows], table.small_tokens[rows], table.strong_tokens[rows], share=share
    )


def spent(small: Floats, strong: Floats, kept: Kept) -> Callable[[Indices], float]:
    """Return the share of always-strong's cost, as a figure of positions in ``kept.rows``."""
    paid = (small + strong * kept.calls)[kept.rows]
    always = strong[kept.rows]
    return lambda at: float(paid[at].sum() / always[at].sum())


def promise_rows(table: Table, scored: Scored, aims: Aims | None, *, note: str) -> list[Row]:
    """Return what is saved at ``PROMISE`` of the strong accuracy, and whether that was kept."""
    score = scores(table, scored, "gain per dollar")
    strong = table.strong
    kept = kept_promise(
        table,
        scored,
        score,
        keeping_accuracy(table, score, lambda rows: PROMISE * float(strong[rows].mean())),
    )
    right, always = kept.right(table), strong[kept.rows]
    dollars = spent(table.small_dollars, table.strong_dollars, kept)
    tokens = spent(table.small_tokens, table.strong_tokens, kept)
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
    ]
