"""How a model reviews: the rubrics, the score that follows from one, and its probability.

Owns criteria, their JSON schemas, the cap and the mapping to a probability. What the critic is
shown is in ``critic_prompt``, how its reply is read in ``critic_reply``.
"""

from bisect import bisect_right
from dataclasses import dataclass, field
from typing import Final, Literal

from pointsman.contracts.chat import JsonObject
from pointsman.contracts.parts import Check, Usage

CAP: Final = 4.0
"""The most that an unfulfilled request can score, however well the rest was done."""


class CriticFailed(Exception):
    """The critic gave no usable review, so there is no score.

    ``reason`` is for operators and holds no word of prompt, answer or reply. ``usage`` is what was
    paid nevertheless; None where no model was called.
    """

    def __init__(self, reason: str, *, usage: Usage | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.usage = usage


@dataclass(frozen=True, kw_only=True)
class Criterion:
    """One thing that is scored, 0 to ``best``. ``levels`` tell the critic what each score means.

    Where ``is_vital``, a 0 means that the request is unfulfilled.
    """

    name: str
    best: Literal[2, 3]
    levels: str
    is_vital: bool = False


@dataclass(frozen=True, kw_only=True)
class Rubric:
    """What one kind of review scores. ``condition`` is a yes-or-no item; a no caps the score.

    ``name`` is the schema's; simulated models know a review by it.
    """

    name: str
    criteria: tuple[Criterion, ...]
    condition: str | None = None

    @property
    def schema(self) -> JsonObject:
        """The JSON schema of a reply, in the subset that strict structured outputs accept."""
        items: JsonObject = {one.name: _item_schema(one.best) for one in self.criteria}
        if self.condition is not None:
            items[self.condition] = {"type": "boolean"}
        return _closed(items)


ANSWER: Final = Rubric(
    name="pointsman_answer_review",
    criteria=(
        Criterion(
            name="accuracy",
            best=3,
            levels="3 nothing is wrong; 2 a slip that changes nothing; 1 an error that would"
            " mislead a reader; 0 wrong in what matters, or at odds with the documents",
            is_vital=True,
        ),
        Criterion(
            name="completeness",
            best=3,
            levels="3 every part of the request is answered; 2 a small part is missing; 1 a main"
            " part is missing; 0 nothing that was asked is answered",
            is_vital=True,
        ),
        Criterion(
            name="relevance",
            best=2,
            levels="2 all of it serves the request; 1 some of it does not; 0 it is about"
            " something else",
        ),
        Criterion(
            name="clarity",
            best=2,
            levels="2 easy to follow and in the form asked for; 1 a reader must search or guess;"
            " 0 confused, repeating or broken off",
        ),
    ),
    condition="is_fulfilled",
)

PLAN: Final = Rubric(
    name="pointsman_plan_review",
    criteria=(
        Criterion(
            name="necessary",
            best=2,
            levels="2 every call is needed; 1 a call is superfluous; 0 no call is needed",
        ),
        Criterion(
            name="sufficient",
            best=3,
            levels="3 these calls can give all that the request needs now; 2 something small will"
            " be missing; 1 something main will be missing; 0 they do not serve the request",
            is_vital=True,
        ),
        Criterion(
            name="grounded",
            best=3,
            levels="3 every argument comes from the request, the conversation or earlier results;"
            " 2 a harmless default was filled in; 1 a value that matters was guessed; 0 values are"
            " invented or contradict the request",
            is_vital=True,
        ),
        Criterion(
            name="harmless",
            best=2,
            levels="2 nothing is changed, sent, deleted or bought that the user did not ask for;"
            " 1 a small change goes beyond what was asked; 0 a change that nobody asked for",
            is_vital=True,
        ),
    ),
)

PAIR_NAME: Final = "pointsman_pair_review"
PAIR_SCHEMA: Final[JsonObject] = {
    "type": "object",
    "properties": {
        "reason": {"type": "string"},
        "better": {"type": "string", "enum": ["A", "B", "tie"]},
    },
    "required": ["reason", "better"],
    "additionalProperties": False,
}


def response_format(name: str, schema: JsonObject) -> JsonObject:
    """Source: OpenAI API reference, structured outputs."""
    return {
        "type": "json_schema",
        "json_schema": {"name": name, "strict": True, "schema": schema},
    }


def _item_schema(best: int) -> JsonObject:
    # An enum, not a maximum: every engine of structured outputs enforces it.
    score = {"type": "integer", "enum": list(range(best + 1))}
    return _closed({"reason": {"type": "string"}, "score": score})


def _closed(properties: JsonObject) -> JsonObject:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """A score's probability that the answer is acceptable: straight lines between ``knots``.

    Raises: ValueError unless scores rise from 0 to 10 and probabilities within 0..1 never fall.
    """

    knots: tuple[tuple[float, float], ...]

    def __post_init__(self) -> None:
        scores = [score for score, _ in self.knots]
        chances = [chance for _, chance in self.knots]
        if scores[:1] != [0.0] or scores[-1:] != [10.0] or sorted(set(scores)) != scores:
            raise ValueError("scores must rise from 0 to 10")
        if sorted(chances) != chances or not 0 <= chances[0] <= chances[-1] <= 1:
            raise ValueError("probabilities must lie within 0 and 1 and never fall")

    def probability(self, score: float) -> float:
        """Return the probability of a score within 0 and 10."""
        above = min(bisect_right([knot[0] for knot in self.knots], score), len(self.knots) - 1)
        (left, low), (right, high) = self.knots[above - 1], self.knots[above]
        return low + (high - low) * (score - left) / (right - left)


UNFITTED: Final = Calibration(
    knots=(
        (0, 0.02),
        (2, 0.06),
        (4, 0.14),
        (5, 0.20),
        (6, 0.27),
        (7, 0.37),
        (8, 0.50),
        (9, 0.69),
        (10, 0.95),
    )
)
"""The scale that a route's ``minScore`` has (``verdict``: 8 is an even chance), read backwards: a
critic's 8 is an 8. The ends are pulled in, for no review is certain and odds must be finite.

Not measured: no recorded set holds a critic's reviews. Evaluation may fit another table.
"""


@dataclass(frozen=True, kw_only=True)
class Mark:
    """The score of one criterion, and why. ``reason`` is content."""

    name: str
    score: int
    best: int
    reason: str = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class Review:
    """``score`` is the sum of the marks, 0 to 10, at most ``CAP`` where ``is_capped``."""

    marks: tuple[Mark, ...]
    score: float
    is_capped: bool
    probability: float

    @classmethod
    def of(
        cls,
        rubric: Rubric,
        marks: tuple[Mark, ...],
        *,
        is_fulfilled: bool,
        calibration: Calibration,
    ) -> "Review":
        """Add up the marks, given in the rubric's order, and apply the cap."""
        total = float(sum(mark.score for mark in marks))
        vital = (m for c, m in zip(rubric.criteria, marks, strict=True) if c.is_vital)
        is_unfulfilled = not is_fulfilled or any(mark.score == 0 for mark in vital)
        score = min(total, CAP) if is_unfulfilled else total
        return cls(
            marks=marks,
            score=score,
            is_capped=score < total,
            probability=calibration.probability(score),
        )

    @property
    def checks(self) -> tuple[Check, ...]:
        """The marks as checks of a verdict: names and numbers, no words."""
        return tuple(
            Check(
                name=f"critic_{mark.name}",
                passed=mark.score == mark.best,
                penalty=mark.best - mark.score,
            )
            for mark in self.marks
        )

    @property
    def critique(self) -> str:
        """What lost points, for the next model. Content."""
        lost = (mark for mark in self.marks if mark.score < mark.best and mark.reason)
        return " ".join(f"{mark.name.capitalize()}: {mark.reason}" for mark in lost)


Preference = Literal["first", "second", "tie"]


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Which of two answers is better. ``is_stable`` says that the order did not matter.

    ``reasons`` are those of the two orders; content.
    """

    preferred: Preference
    is_stable: bool
    reasons: tuple[str, str] = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class Reviewed:
    """A review and what it cost. ``clipped`` names the parts of the material that were cut."""

    review: Review
    usage: Usage
    clipped: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Compared:
    """A comparison and what it cost, both orders together."""

    comparison: Comparison
    usage: Usage
    clipped: tuple[str, ...] = ()
