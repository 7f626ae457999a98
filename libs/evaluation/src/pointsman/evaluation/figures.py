"""Figures: what is measured, how sure it is, and the row it is shown in.

Owns the definitions (RouteLLM's APGR and CPT, calibration error, AUROC, risk and coverage, the
bootstrap). Knows no data set.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Truths = NDArray[np.bool_]
Indices = NDArray[np.intp]

Statistic = Callable[[Indices], float]
"""A figure of the rows with these numbers; a row may be named more than once."""

DRAWS = 300
BINS = 15


@dataclass(frozen=True, kw_only=True)
class Row:
    """One figure beside what is wanted of it. ``low`` and ``high`` bound 95 % of the bootstrap."""

    name: str
    value: float
    low: float | None = None
    high: float | None = None
    goal: float | None = None
    moonshot: float | None = None
    baseline: float | None = None
    unit: str = ""
    better: Literal["higher", "lower"] = "higher"
    note: str = ""

    @property
    def verdict(self) -> str:
        """``moonshot``, ``goal``, ``missed by x``, or nothing where no goal is set."""
        if self.goal is None:
            return ""
        if np.isnan(self.value):
            return "not measured"
        if self.moonshot is not None and self._short_of(self.moonshot) <= 0:
            return "moonshot"
        missing = self._short_of(self.goal)
        return "goal" if missing <= 0 else f"missed by {missing:.3g}"

    def _short_of(self, wanted: float) -> float:
        missing = wanted - self.value if self.better == "higher" else self.value - wanted
        return round(missing, 9)


@dataclass(frozen=True, kw_only=True)
class CallCurve:
    """Accuracy when the strong model is called for a growing share of the rows, best first.

    Shapes: calls and accuracy (m,), from no strong call to all strong calls.
    """

    calls: Floats
    accuracy: Floats

    def accuracy_at(self, share: float) -> float:
        return float(np.interp(share, self.calls, self.accuracy))

    def apgr(self, *, weak: float | None = None) -> float:
        """Average performance gap recovered; 0.5 is what a random router recovers.

        The area is taken over every share of strong calls, not over ten steps. The gap begins at
        ``weak``, by default at what is reached without a strong call.
        Source: arXiv 2406.18665, section 3.
        """
        weak = float(self.accuracy[0]) if weak is None else weak
        strong = self.accuracy[-1]
        if strong == weak:
            return float("nan")
        recovered = (self.accuracy - weak) / (strong - weak)
        return float(np.trapezoid(recovered, self.calls))

    def cpt(self, wanted: float, *, weak: float | None = None) -> float:
        """Return the smallest share of strong calls that recovers ``wanted`` of the gap."""
        weak = float(self.accuracy[0]) if weak is None else weak
        target = weak + wanted * (self.accuracy[-1] - weak)
        reached = np.flatnonzero(self.accuracy >= target - 1e-12)
        if not reached.size:
            return 1.0
        first = int(reached[0])
        if first == 0:
            return float(self.calls[0])
        rise = self.accuracy[first] - self.accuracy[first - 1]
        part = (target - self.accuracy[first - 1]) / rise
        return float(self.calls[first - 1] + part * (self.calls[first] - self.calls[first - 1]))


def call_curve(score: Floats, weak: Truths, strong: Truths) -> CallCurve:
    """Return the curve of a router that calls the strong model where ``score`` is highest.

    Shapes: all (n,). Rows with one score are taken in random order: a straight line.
    """
    order = np.argsort(-score, kind="stable")
    ranked = score[order]
    gain = np.cumsum(strong[order].astype(float) - weak[order].astype(float))
    last_of_tie = np.append(np.flatnonzero(np.diff(ranked)), len(ranked) - 1)
    calls = np.concatenate([[0.0], (last_of_tie + 1) / len(ranked)])
    accuracy = float(np.mean(weak)) + np.concatenate([[0.0], gain[last_of_tie]]) / len(ranked)
    return CallCurve(calls=calls, accuracy=accuracy)


def calibration_error(probability: Floats, truth: Truths, bins: int = BINS) -> float:
    """Return the expected calibration error over ``bins`` bins of equal width.

    Source: arXiv 1706.04599, equation 3.
    """
    which = np.minimum((probability * bins).astype(int), bins - 1)
    gap = np.bincount(which, probability - truth, minlength=bins)
    return float(np.abs(gap).sum() / len(probability))


def auroc(score: Floats, truth: Truths) -> float:
    """Return how often a true row scores above a false one; ties count a half."""
    positives = int(truth.sum())
    negatives = len(truth) - positives
    if not positives or not negatives:
        return float("nan")
    values, where, counts = np.unique(score, return_inverse=True, return_counts=True)
    del values
    ends = np.cumsum(counts)
    ranks = (ends - (counts - 1) / 2)[where]
    above = ranks[truth].sum() - positives * (positives + 1) / 2
    return float(above / (positives * negatives))


def aurc(probability: Floats, truth: Truths) -> float:
    """Return the area under risk and coverage: the mean error of the most trusted, lower is better.

    Source: Geifman and El-Yaniv, arXiv 1805.08206, section 2.
    """
    wrong = ~truth[np.argsort(-probability, kind="stable")]
    return float(np.mean(np.cumsum(wrong) / np.arange(1, len(wrong) + 1)))


def risk_at(probability: Floats, truth: Truths, coverage: float) -> float:
    """Return the share of wrong answers among the ``coverage`` most trusted."""
    kept = max(1, round(coverage * len(truth)))
    return float(np.mean(~truth[np.argsort(-probability, kind="stable")[:kept]]))


def interval(
    statistic: Statistic, rows: int, *, seed: int = 0, draws: int = DRAWS
) -> tuple[float, float]:
    """Return the 2.5th and the 97.5th percentile of ``statistic`` over resampled rows."""
    random = np.random.default_rng(seed)
    values = [statistic(random.integers(0, rows, rows)) for _ in range(draws)]
    low, high = np.nanpercentile(values, [2.5, 97.5])
    return float(low), float(high)
