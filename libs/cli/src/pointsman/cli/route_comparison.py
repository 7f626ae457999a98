"""What a changed route would do to recorded requests: who moves, what it costs, how long it takes.

Owns the comparison's shape, which is also its JSON. Calls no model: of an answer that was never
given, only what other answers took is known (``route_estimates``), and no score.
"""

from collections import Counter, defaultdict
from typing import Literal

from pydantic import BaseModel, ConfigDict, computed_field

from pointsman.cli.route_estimates import Cost, Estimates, Latency, Tally
from pointsman.cli.route_history import History, ModelRecord, RecordedRequest
from pointsman.routes.replay import Decided, Replayed, Version

MOST_CAUSES = 10

Side = Literal["old", "new"]


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True)


class Move(_Value):
    """The requests that one model would take over from another."""

    old_model: str
    new_model: str
    requests: int
    cost: Cost
    latency: Latency


class Cause(_Value):
    """What chose before and what would choose after, of requests that move."""

    old_target: str
    old_reason: str
    new_target: str
    new_reason: str
    requests: int


class ModelFigures(_Value):
    """What was recorded of one model, and how many requests either route gives it.

    Means are over ``answers``; ``escalated`` are those of its ``first_attempts`` whose request went
    on to a stronger model.
    """

    model: str
    old_requests: int
    new_requests: int
    answers: int
    mean_output_tokens: float | None
    mean_latency_s: float | None
    first_attempts: int
    escalated: int


class Comparison(_Value):
    """``requests`` are those that both routes could decide; the others are counted apart.

    ``pinned`` name their model, so no route moves them. ``cannot_tell`` says how often a decision
    hangs on a metadata key or a signal that was not recorded, and ``undecided`` of how many
    requests. ``drifted`` were decided otherwise when they came than the old route decides them now;
    ``other_revision`` came when another text of the route was in force.
    """

    old_route: str
    old_revision: str
    new_route: str
    new_revision: str
    requests: int
    same: int
    moved: int
    pinned: int
    undecided: int
    cannot_tell: dict[str, int]
    drifted: int
    other_revision: int
    shadow_events: int
    moves: tuple[Move, ...]
    causes: tuple[Cause, ...]
    models: tuple[ModelFigures, ...]
    cost: Cost
    latency: Latency

    @computed_field
    @property
    def moved_percent(self) -> float:
        return round(100 * self.moved / self.requests, 4) if self.requests else 0.0


def compare(history: History, old: Version, new: Version) -> Comparison:
    """Return what the new route would have done otherwise than the old one."""
    counted = _Counted(history, old, new)
    for request, replayed in history.replayed():
        counted.add(request, replayed)
    whole = counted.whole
    moved = sum(tally.requests for tally in counted.by_models.values())
    return Comparison(
        old_route=old.route.route.name,
        old_revision=old.route.revision,
        new_route=new.route.route.name,
        new_revision=new.route.revision,
        requests=whole.requests,
        same=whole.requests - moved,
        moved=moved,
        pinned=counted.pinned,
        undecided=counted.undecided,
        cannot_tell=dict(counted.cannot_tell.most_common()),
        drifted=counted.drifted,
        other_revision=counted.other_revision,
        shadow_events=history.shadow_events,
        moves=counted.moves(),
        causes=counted.causes(),
        models=counted.models(),
        cost=whole.cost,
        latency=whole.latency,
    )


class _Counted:
    """Requests counted by what becomes of them."""

    def __init__(self, history: History, old: Version, new: Version) -> None:
        self._history = history
        self._records = history.models()
        self._before = Estimates(old.registry, self._records)
        self._after = Estimates(new.registry, self._records)
        self._old_revision = old.route.revision
        self.whole = Tally()
        self.by_models: dict[tuple[str, str], Tally] = defaultdict(Tally)
        self._by_cause: Counter[tuple[Decided, Decided]] = Counter()
        self._given: dict[Side, Counter[str]] = {"old": Counter(), "new": Counter()}
        self.pinned = self.undecided = self.drifted = self.other_revision = 0
        self.cannot_tell: Counter[str] = Counter()

    def add(self, request: RecordedRequest, replayed: Replayed) -> None:
        if replayed.is_pinned:
            self.pinned += 1
            return
        if unknown := self._unknown(replayed):
            self.undecided += 1
            self.cannot_tell.update(unknown)
            return
        old, new = replayed.old, replayed.new
        self.other_revision += replayed.revision != self._old_revision
        self.drifted += replayed.model != old.model
        self._given["old"][old.model] += 1
        self._given["new"][new.model] += 1
        figures = self._before.of(request, old.model), self._after.of(request, new.model)
        self.whole.add(*figures)
        if old.model != new.model:
            self.by_models[old.model, new.model].add(*figures)
            self._by_cause[old, new] += 1

    def _unknown(self, replayed: Replayed) -> tuple[str, ...]:
        """What the decision hangs on and nobody recorded. A key that was asked for was absent."""
        asked = self._history.was_asked_for
        return tuple(name for name in replayed.hangs_on if not asked(name, replayed.revision))

    def moves(self) -> tuple[Move, ...]:
        by_size = sorted(self.by_models.items(), key=lambda item: -item[1].requests)
        return tuple(
            Move(
                old_model=old,
                new_model=new,
                requests=tally.requests,
                cost=tally.cost,
                latency=tally.latency,
            )
            for (old, new), tally in by_size
        )

    def causes(self) -> tuple[Cause, ...]:
        return tuple(
            Cause(
                old_target=old.target,
                old_reason=old.reason,
                new_target=new.target,
                new_reason=new.reason,
                requests=requests,
            )
            for (old, new), requests in self._by_cause.most_common(MOST_CAUSES)
        )

    def models(self) -> tuple[ModelFigures, ...]:
        old, new = self._given["old"], self._given["new"]
        names = sorted({*old, *new, *self._records})
        return tuple(
            _figures(name, self._records.get(name, ModelRecord()), old[name], new[name])
            for name in names
        )


def _figures(model: str, record: ModelRecord, old: int, new: int) -> ModelFigures:
    tokens = record.mean_output_tokens
    return ModelFigures(
        model=model,
        old_requests=old,
        new_requests=new,
        answers=record.answers,
        mean_output_tokens=None if tokens is None else float(tokens),
        mean_latency_s=record.mean_duration_s,
        first_attempts=record.first_attempts,
        escalated=record.escalated,
    )
