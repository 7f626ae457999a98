"""Percentiles, medians, ratios and growth: the arithmetic of the report, and nothing else."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True, kw_only=True)
class Spread:
    """The median over rounds and how far they lay apart."""

    median: float
    least: float
    most: float
    rounds: int

    def as_json(self) -> dict[str, float]:
        return {
            "median": self.median,
            "min": self.least,
            "max": self.most,
            "rounds": self.rounds,
        }


def spread(values: Sequence[float]) -> Spread | None:
    """Return the spread of ``values``; None if there are none."""
    if not values:
        return None
    return Spread(median=median(values), least=min(values), most=max(values), rounds=len(values))


def percentile(ordered: Sequence[float], share: float) -> float:
    """Return the value below which ``share`` of ``ordered`` lies (nearest rank); 0.0 if empty."""
    if not ordered:
        return 0.0
    rank = min(len(ordered) - 1, max(0, -int(-share * len(ordered) // 1) - 1))
    return ordered[rank]


def percentiles(values: Sequence[float]) -> dict[str, float]:
    """Return p50, p95, p99 and the maximum of ``values``, in their unit."""
    ordered = sorted(values)
    return {
        "p50": percentile(ordered, 0.5),
        "p95": percentile(ordered, 0.95),
        "p99": percentile(ordered, 0.99),
        "max": ordered[-1] if ordered else 0.0,
    }


def ratios(ours: Mapping[int, float], theirs: Mapping[int, float]) -> list[float]:
    """Return ours / theirs for every round that both have, so that a slow minute hits both."""
    return [
        ours[number] / theirs[number] for number in sorted(ours) if theirs.get(number, 0.0) > 0.0
    ]


def steepest_growth(costs: Sequence[float]) -> float:
    """Return the greatest factor by which a cost rises from one step to any later one.

    1.0 where it only falls: a cost that batching makes smaller has not grown.
    """
    worst, cheapest = 1.0, float("inf")
    for cost in costs:
        cheapest = min(cheapest, cost)
        if cheapest > 0:
            worst = max(worst, cost / cheapest)
    return worst
