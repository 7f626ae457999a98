"""What happened to one request, as its facts, and where two accounts of it differ.

Owns the comparison. Both sides tell the same facts: the platform on LLM_EVENTS, the offline twin
from the handlers; what depends on the clock or the machine is left out.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, cast

from pointsman.contracts.messages import (
    Blocked,
    Classified,
    Completed,
    Executed,
    Failed,
    PublishedFact,
)
from pointsman.contracts.parts import AttemptSummary, RequestContext
from pointsman.contracts.wire import redacted_json

TOLD = (
    "safety_checked", "classified", "tools_retrieved", "executed", "judged", "expired",
    "dead_lettered", "completed", "blocked", "failed",
)  # fmt: skip
"""The facts that are compared; ``accepted`` is HTTP's own."""

Leaf = str | int | float | bool | None

_OF_THE_CLOCK = frozenset({"time_to_first_token_s", "duration_s"})
_TOLERANCE = 1e-6
"""Of numbers that are no counts: a vector may differ in its last bit."""


@dataclass(frozen=True, kw_only=True)
class Told:
    """One fact, and the stage and attempt that it tells of."""

    stage: str
    attempt: int
    fact: PublishedFact


@dataclass(frozen=True, kw_only=True)
class Passage:
    """One request's way. ``answer`` is the text of its answer, None where it has none."""

    context: RequestContext
    facts: tuple[Told, ...]
    answer: str | None

    @property
    def outcome(self) -> Completed | Blocked | Failed | None:
        for told in self.facts:
            if isinstance(told.fact, Completed | Blocked | Failed):
                return told.fact
        return None

    @property
    def attempts(self) -> tuple[AttemptSummary, ...]:
        outcome = self.outcome
        return outcome.attempts if isinstance(outcome, Completed | Failed) else ()

    @property
    def model(self) -> str | None:
        """The model whose answer was returned."""
        return self.outcome.model if isinstance(self.outcome, Completed) else None

    @property
    def target(self) -> str | None:
        """The model that the route chose first."""
        for told in self.facts:
            if isinstance(told.fact, Classified):
                return told.fact.decision.model
        return None

    @property
    def loops_cut(self) -> tuple[Executed, ...]:
        """The attempts that were stopped because the model ran in circles."""
        facts = (told.fact for told in self.facts)
        return tuple(fact for fact in facts if isinstance(fact, Executed) and fact.is_loop_cut)


@dataclass(frozen=True, kw_only=True)
class Difference:
    """A place at which two accounts of one request differ; None where one of them has nothing."""

    where: str
    pipeline: Leaf
    offline: Leaf

    def __str__(self) -> str:
        return f"{self.where}: pipeline {_short(self.pipeline)}, offline {_short(self.offline)}"


def differences(pipeline: Passage, offline: Passage) -> tuple[Difference, ...]:
    """Return where the two accounts differ; nothing where they agree."""
    ours, theirs = _told(pipeline), _told(offline)
    return tuple(
        Difference(where=where, pipeline=ours.get(where), offline=theirs.get(where))
        for where in dict.fromkeys((*ours, *theirs))
        if not _is_same(ours, theirs, where)
    )


def _told(passage: Passage) -> dict[str, Leaf]:
    """Every single value of an account, by its place."""
    facts = {
        f"{told.stage}.{told.attempt}.{told.fact.type}": json.loads(redacted_json(told.fact))
        for told in passage.facts
        if told.fact.type in TOLD
    }
    return dict(_leaves("", {"answer": passage.answer, **facts}))


def _leaves(where: str, value: Any) -> Iterator[tuple[str, Leaf]]:
    match value:
        case dict():
            for key, inner in cast("dict[str, Any]", value).items():
                if key not in _OF_THE_CLOCK:
                    yield from _leaves(f"{where}.{key}" if where else key, inner)
        case list():
            for index, inner in enumerate(cast("list[Any]", value)):
                yield from _leaves(f"{where}[{index}]", inner)
        case _:
            yield where, value


def _is_same(ours: Mapping[str, Leaf], theirs: Mapping[str, Leaf], where: str) -> bool:
    if (where in ours) != (where in theirs):
        return False
    one, other = ours[where], theirs[where]
    if isinstance(one, float) and isinstance(other, float):
        return abs(one - other) <= _TOLERANCE
    return one == other


def _short(value: Leaf) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 120 else f"{text[:100]}… ({len(text)} characters)"
