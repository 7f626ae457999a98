"""Reads what a critic replied: one JSON object, with or without words around it, or nothing.

Tolerant of wrapping, strict about content: every field there, every number within its range. A
reply that holds two different reviews is refused, for one of them may be quoted from the answer.
"""

import json
from collections.abc import Iterator
from typing import Annotated, Any, Final, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from pointsman.judge.domain.rubric import (
    ANSWER,
    PLAN,
    UNFITTED,
    Calibration,
    Comparison,
    Mark,
    Preference,
    Review,
    Rubric,
)

MAX_REPLY_CHARS: Final = 16_000
MAX_REASON_CHARS: Final = 300
MAX_STARTS: Final = 8
"""Opening braces that are tried; bounds the work on a reply that is no JSON."""


class Unreadable(ValueError):
    """A reply is not in the form asked for. ``problem`` says where, without quoting it."""

    def __init__(self, problem: str) -> None:
        super().__init__(problem)
        self.problem = problem


def _shortened(reason: str) -> str:
    reason = " ".join(reason.split())
    return reason if len(reason) <= MAX_REASON_CHARS else f"{reason[: MAX_REASON_CHARS - 1]}…"


Reason = Annotated[str, AfterValidator(_shortened)]


class _Reply(BaseModel):
    # Strict: true is no 1, and "3" is no 3.
    model_config = ConfigDict(frozen=True, extra="ignore", strict=True, hide_input_in_errors=True)


class _Item(_Reply):
    reason: Reason
    score: int


class _OfTwo(_Item):
    score: int = Field(ge=0, le=2)


class _OfThree(_Item):
    score: int = Field(ge=0, le=3)


class AnswerReply(_Reply):
    accuracy: _OfThree
    completeness: _OfThree
    relevance: _OfTwo
    clarity: _OfTwo
    is_fulfilled: bool


class PlanReply(_Reply):
    necessary: _OfTwo
    sufficient: _OfThree
    grounded: _OfThree
    harmless: _OfTwo


class PairReply(_Reply):
    reason: Reason
    better: Literal["A", "B", "tie"]


REPLIES: Final[dict[str, type[AnswerReply | PlanReply]]] = {
    ANSWER.name: AnswerReply,
    PLAN.name: PlanReply,
}

R = TypeVar("R", bound=_Reply)


def read_review(rubric: Rubric, text: str, calibration: Calibration = UNFITTED) -> Review:
    """Return the review that a reply holds.

    Raises: Unreadable.
    """
    reply = _the_one(REPLIES[rubric.name], text)
    marks = tuple(_mark(criterion.name, criterion.best, reply) for criterion in rubric.criteria)
    is_fulfilled = reply.is_fulfilled if isinstance(reply, AnswerReply) else True
    return Review.of(rubric, marks, is_fulfilled=is_fulfilled, calibration=calibration)


def read_preference(text: str, *, is_swapped: bool) -> tuple[Preference, str]:
    """Return which answer a reply prefers, and why; ``is_swapped`` where A was the second.

    Raises: Unreadable.
    """
    reply = _the_one(PairReply, text)
    if reply.better == "tie":
        return "tie", reply.reason
    return "first" if (reply.better == "A") is not is_swapped else "second", reply.reason


def settled(forward: tuple[Preference, str], backward: tuple[Preference, str]) -> Comparison:
    """Return what two reviews in both orders agree on; a preference that the order made is none."""
    is_stable = forward[0] == backward[0]
    return Comparison(
        preferred=forward[0] if is_stable else "tie",
        is_stable=is_stable,
        reasons=(forward[1], backward[1]),
    )


def _mark(name: str, best: int, reply: BaseModel) -> Mark:
    item: _Item = getattr(reply, name)
    return Mark(name=name, score=item.score, best=best, reason=item.reason)


def _the_one(kind: type[R], text: str) -> R:
    if len(text) > MAX_REPLY_CHARS:
        raise Unreadable("the reply is too long")
    found: list[R] = []
    problem = "there is no JSON object"
    for value in _objects(text):
        try:
            reply = kind.model_validate(value)
        except ValidationError as error:
            first = error.errors(include_input=False, include_url=False)[0]
            problem = f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
        else:
            if reply not in found:
                found.append(reply)
    if not found:
        raise Unreadable(problem)
    if len(found) > 1:
        raise Unreadable("there is more than one review")
    return found[0]


def _objects(text: str) -> Iterator[dict[str, Any]]:
    """Yield the JSON objects in ``text`` that are not inside another."""
    text = text.rpartition("</think>")[2]  # a model that reasons aloud drafts its review there
    decoder = json.JSONDecoder()
    at = -1
    for _ in range(MAX_STARTS):
        at = text.find("{", at + 1)
        if at < 0:
            return
        try:
            value, end = decoder.raw_decode(text, at)
        except (ValueError, RecursionError):
            continue
        yield value
        at = end - 1
