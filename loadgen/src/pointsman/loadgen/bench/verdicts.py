"""The goals of the project's performance issue, and whether a run meets them.

Owns the goals' figures and how each is computed from points. Pure.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from pointsman.loadgen.bench.figures import Spread, ratios, spread, steepest_growth
from pointsman.loadgen.bench.points import Point

Value = Callable[[Point], float]


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """What a run found: its points, seconds of every timed start, idle memory in MB."""

    points: Sequence[Point]
    starts_s: Sequence[float] = ()
    idle_rss_mb: Sequence[float] = ()

    def by_round(
        self, case: str, contender: str, load: str, value: Value, *, section: str = "closed"
    ) -> dict[int, float]:
        wanted = (section, case, contender, load)
        return {
            point.round: value(point)
            for point in self.points
            if (point.section, point.case, point.contender, point.load) == wanted
        }


@dataclass(frozen=True, kw_only=True)
class Goal:
    """One row of the table. ``measure`` gives a value for each round."""

    what: str
    goal: float
    moonshot: float
    unit: str
    is_more_better: bool
    measure: Callable[[Evidence], list[float]]


@dataclass(frozen=True, kw_only=True)
class Verdict:
    goal: Goal
    measured: Spread | None

    @property
    def text(self) -> str:
        """``moonshot``, ``goal``, ``missed by`` a factor, or ``not measured``."""
        if self.measured is None:
            return "not measured"
        value = self.measured.median
        if self._reaches(value, self.goal.moonshot):
            return "moonshot"
        if self._reaches(value, self.goal.goal):
            return "goal"
        if value <= 0:
            return "missed: nothing was done"
        factor = self.goal.goal / value if self.goal.is_more_better else value / self.goal.goal
        return f"missed by {factor:.2f}x"

    def _reaches(self, value: float, wanted: float) -> bool:
        return value >= wanted if self.goal.is_more_better else value <= wanted

    def as_json(self) -> dict[str, object]:
        return {
            "what": self.goal.what,
            "goal": self.goal.goal,
            "moonshot": self.goal.moonshot,
            "unit": self.goal.unit,
            "measured": self.measured.as_json() if self.measured else None,
            "verdict": self.text,
        }


def verdicts(evidence: Evidence) -> list[Verdict]:
    """Return a verdict for every goal, in the issue's order."""
    return [Verdict(goal=goal, measured=spread(goal.measure(evidence))) for goal in GOALS]


def rate(point: Point) -> float:
    return point.rate


def p50(point: Point) -> float:
    return point.latency_ms.get("p50", 0.0)


def first_token_p50(point: Point) -> float:
    return point.first_token_ms.get("p50", 0.0)


def rate_ratio(ours: str, theirs: str, case: str, load: str) -> Callable[[Evidence], list[float]]:
    """Compare requests/s of the same round."""

    def measure(evidence: Evidence) -> list[float]:
        return ratios(
            evidence.by_round(case, ours, load, rate), evidence.by_round(case, theirs, load, rate)
        )

    return measure


def added(
    evidence: Evidence, contender: str, *, case: str, load: str, value: Value, section: str
) -> dict[int, float]:
    """Return what a contender adds to the upstream's own time, by round."""
    own = evidence.by_round(case, "direct", load, value, section=section)
    whole = evidence.by_round(case, contender, load, value, section=section)
    return {number: whole[number] - own[number] for number in whole if number in own}


def _added_p50_ratio(evidence: Evidence) -> list[float]:
    ours, theirs = (
        added(evidence, name, case="all stages", load="c=1", value=p50, section="closed")
        for name in ("fused", "litellm")
    )
    return ratios(ours, theirs)


def _added_first_token(evidence: Evidence) -> list[float]:
    found = added(
        evidence, "fused", case="stream", load="c=1", value=first_token_p50, section="stream"
    )
    return list(found.values())


def _cpu_growth(evidence: Evidence) -> list[float]:
    """The greatest rise from one concurrency to a higher one, of each round."""
    by_round: dict[int, list[tuple[int, float]]] = {}
    for point in evidence.points:
        if point.section == "growth" and point.case == "concurrency" and point.completed:
            by_round.setdefault(point.round, []).append((point.concurrency, point.cpu_ms))
    return [
        steepest_growth([cost for _, cost in sorted(costs)])
        for costs in by_round.values()
        if len(costs) > 1
    ]


GOALS: tuple[Goal, ...] = (
    Goal(
        what="plumbing, fused, requests/s against LiteLLM at c=64",
        goal=5,
        moonshot=12,
        unit="x",
        is_more_better=True,
        measure=rate_ratio("fused", "litellm", "plumbing", "c=64"),
    ),
    Goal(
        what="all stages, distinct, fused, requests/s against LiteLLM at c=64",
        goal=2.5,
        moonshot=5,
        unit="x",
        is_more_better=True,
        measure=rate_ratio("fused", "litellm", "all stages", "c=64"),
    ),
    Goal(
        what="all stages, distinct, added p50 at c=1 against LiteLLM's",
        goal=0.6,
        moonshot=0.35,
        unit="x",
        is_more_better=False,
        measure=_added_p50_ratio,
    ),
    Goal(
        what="seven processes, plumbing, requests/s against bare nats-py",
        goal=0.3,
        moonshot=0.6,
        unit="x",
        is_more_better=True,
        measure=rate_ratio("seven", "bare", "plumbing", "c=64"),
    ),
    Goal(
        what="added time to first token, p50, fused",
        goal=12,
        moonshot=5,
        unit="ms",
        is_more_better=False,
        measure=_added_first_token,
    ),
    Goal(
        what="CPU per request from 1 to 1,000 concurrent, steepest rise",
        goal=1.5,
        moonshot=1.1,
        unit="x",
        is_more_better=False,
        measure=_cpu_growth,
    ),
    Goal(
        what="memory of `pointsman up` idle, with the encoder loaded",
        goal=700,
        moonshot=350,
        unit="MB",
        is_more_better=False,
        measure=lambda evidence: list(evidence.idle_rss_mb),
    ),
    Goal(
        what="start of `pointsman up` to ready, warm disk",
        goal=8,
        moonshot=3,
        unit="s",
        is_more_better=False,
        measure=lambda evidence: list(evidence.starts_s),
    ),
)


def medians(points: Iterable[Point], value: Value) -> Mapping[tuple[str, str, str, str], float]:
    """Return the median over rounds by (section, case, contender, load)."""
    found: dict[tuple[str, str, str, str], list[float]] = {}
    for point in points:
        key = (point.section, point.case, point.contender, point.load)
        found.setdefault(key, []).append(value(point))
    return {key: median(values) for key, values in found.items()}
