"""From what the layers found to one verdict: a probability, a score, a label and the reasons.

The score maps onto the probability p that the answer is acceptable: with odds o = p / (1 - p) the
score is 10 * 4o / (1 + 4o). So ``minScore`` 8 is p = 0.5, "more likely acceptable than not"; 9 is
0.69 and 9.5 is 0.83. The rules' score is a cap on both. Within a band around the threshold the
cheap layers cannot tell: ``unsure``.
"""

from dataclasses import dataclass, field, replace
from typing import Final, Literal, Protocol

from pointsman.contracts.attempts import may_ask_sibling
from pointsman.contracts.messages import Judge
from pointsman.contracts.parts import Check, Usage, Verdict
from pointsman.judge.domain.case import rests_on_tools
from pointsman.judge.domain.rubric import Review, Reviewed
from pointsman.judge.domain.scoring import BEST
from pointsman.judge.domain.support import log_odds, probability

STEEPNESS: Final = 4.0
"""Odds of 1 are a score of 8 by it: the ``minScore`` that routes have always had."""
GREY: Final = 0.6
"""Half the width of the grey band, in log-odds: p from 0.35 to 0.65 at ``minScore`` 8."""
GREY_AFTER_REVIEW: Final = 0.25
REVIEW_WEIGHT: Final = 0.8
"""Of a review's log-odds. Below 1: a critic's own calibration is not measured (``rubric``)."""
SURE: Final = 6.0
"""Log-odds that no sum of layers exceeds; odds must stay finite."""


class JudgeUnavailable(Exception):
    """Whoever scores cannot; ``reason`` is for operators and holds no prompt and no answer."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Critic(Protocol):
    """A model that reviews. Raises: CriticFailed, with what was paid; never a made-up score."""

    async def review(self, command: Judge, *, model: str) -> Reviewed: ...

    async def review_plan(self, command: Judge, *, model: str) -> Reviewed: ...


@dataclass(frozen=True, kw_only=True)
class Assessment:
    """What the layers say so far. ``log_odds`` are those of an acceptable answer, uncapped.

    ``prefers_sibling``: all this is said of the second answer, which is the better one.
    ``cap`` is the rules' score, 0 to 10. ``reasons`` are names, and hold none of the user's words.
    """

    log_odds: float
    cap: float
    checks: tuple[Check, ...] = ()
    critique: str = ""
    reasons: tuple[str, ...] = ()
    usage: Usage = field(default_factory=lambda: Usage(model="rules"))
    is_reviewed: bool = False
    prefers_sibling: bool = False

    @property
    def probability(self) -> float:
        """That the answer is acceptable: the layers' opinion, at most what the rules allow."""
        return min(probability(self.log_odds), probability_of(self.cap))

    @property
    def score(self) -> float:
        return round(min(self.cap, score_of(probability(self.log_odds))), 2)


class Scorer(Protocol):
    async def score(self, command: Judge) -> Assessment:
        """Return what the cheap layers say of the command's answer, or of its plan.

        Raises: JudgeUnavailable if they cannot tell; never a made-up score.
        """
        ...


def score_of(chance: float) -> float:
    """Return the score, 0 to 10, of a probability."""
    if chance >= 1:
        return BEST
    odds = STEEPNESS * chance / (1 - chance)
    return BEST * odds / (1 + odds)


def probability_of(score: float) -> float:
    """Return the probability that a score stands for; the inverse of ``score_of``."""
    if score >= BEST:
        return 1.0
    odds = score / (STEEPNESS * (BEST - score))
    return odds / (1 + odds)


def label_of(found: Assessment, *, min_score: float) -> Literal["accepted", "low", "unsure"]:
    """Compare with the route's ``minScore``. What a rule found is certain and never ``unsure``."""
    if found.cap < min_score or min_score >= BEST:
        return "accepted" if found.score >= min_score else "low"
    width = GREY_AFTER_REVIEW if found.is_reviewed else GREY
    distance = _limited(found.log_odds) - log_odds(probability_of(min_score))
    if abs(distance) < width:
        return "unsure"
    return "accepted" if distance > 0 else "low"


def reviewed(found: Assessment, review: Review, usage: Usage) -> Assessment:
    """Join a critic's review: it weighs nearly as much as it claims, the cheap layers the rest."""
    opinion = REVIEW_WEIGHT * log_odds(review.probability)
    name = "critic_approves" if opinion > 0 else "critic_doubts"
    return replace(
        found,
        log_odds=_limited(found.log_odds + opinion),
        checks=found.checks + review.checks,
        critique=" ".join(text for text in (found.critique, review.critique) if text),
        reasons=(*found.reasons, name),
        usage=usage,
        is_reviewed=True,
    )


def unreviewed(found: Assessment, usage: Usage | None) -> Assessment:
    """The critic failed: what the cheap layers said stands, marked so, with what was paid."""
    return replace(
        found, reasons=(*found.reasons, "critic_unavailable"), usage=usage or found.usage
    )


def wants_sibling(command: Judge, label: str) -> bool:
    """Whether a cheap second answer may settle it, and the flow would ask for one."""
    return label == "unsure" and may_ask_sibling(command) and not rests_on_tools(command)


def verdict_of(found: Assessment, command: Judge, *, min_score: float) -> Verdict:
    label = label_of(found, min_score=min_score)
    return Verdict(
        label=label,
        score=found.score,
        probability=round(found.probability, 4),
        reasons=found.reasons,
        wants_sibling=wants_sibling(command, label),
        prefers_sibling=found.prefers_sibling,
        checks=found.checks,
        critique=found.critique,
    )


def _limited(value: float) -> float:
    return max(-SURE, min(SURE, value))
