"""Why a request went where it did: every signal, every target, every part of every condition.

Stable for readers (the command line renders it): ``Explanation``, ``SignalReading``,
``TargetReading``, ``Part`` and their fields; ``explain_for``, which takes an ``Asking`` as
``decide_for`` does.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, assert_never

from pointsman.contracts.parts import Exclusion, RouteDecision, RoutingInputs
from pointsman.routes.asking import AUTO, Asking
from pointsman.routes.choice import Choice, NoEligibleModel, choose
from pointsman.routes.condition import (
    AllOf,
    AnyOf,
    Comparison,
    Expression,
    Membership,
    Not,
    holds,
    written,
)
from pointsman.routes.decision import assemble, decide_for, filter_of
from pointsman.routes.followers import is_sampled
from pointsman.routes.registry import ModelRegistry
from pointsman.routes.select import Selection, does_hold, selections
from pointsman.routes.signal_schema import METADATA, NAMESPACE, SIGNALS, Value
from pointsman.routes.source import RouteRevision
from pointsman.routes.targets import Target

Standing = Literal[
    "chosen",  # it takes the request
    "matched",  # it holds and shares by weight; another one was picked
    "outranked",  # it holds, but a target of higher priority does, too
    "excluded",  # it was picked, and a constraint or a need of the request ruled it out
    "drained",  # weight 0: never chosen
    "not matched",  # its condition does not hold
    "copied",  # a shadow that gets a copy
    "not sampled",  # a shadow that holds; this request is not in its percent
    "not copied",  # a shadow that holds, but is the chosen model, excluded, or beyond the limit
]


@dataclass(frozen=True, kw_only=True)
class Part:
    """One node of a condition. ``actual`` is what the request has, where ``kind`` is ``test``."""

    kind: Literal["all", "any", "not", "test"]
    text: str
    held: bool
    actual: Value | None = None
    parts: "tuple[Part, ...]" = ()


@dataclass(frozen=True, kw_only=True)
class SignalReading:
    """One value that conditions can see. ``confidence`` is None where nobody measured it.

    ``is_used``: a condition of this route names it.
    """

    name: str
    value: Value
    confidence: float | None
    is_used: bool


@dataclass(frozen=True, kw_only=True)
class TargetReading:
    """One target of the route, in the file's order, as this request saw it.

    ``name`` is its label, or its model as written. ``models`` are registry ids. ``share`` is the
    part of equal requests that it takes: 0 where it cannot take this one. ``percent`` is a
    shadow's. ``condition`` is None where it has none; ``held`` is then true.
    """

    index: int
    name: str
    models: tuple[str, ...]
    role: Literal["primary", "canary", "shadow"]
    priority: int
    weight: int
    percent: float | None
    condition: Part | None
    held: bool
    share: float
    standing: Standing
    excluded: tuple[Exclusion, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Explanation:
    """One request's way through one route.

    ``signals`` come in the contract's order, then ``namespace`` and the ``metadata.KEY`` that the
    route names. ``decision`` is None where no model may take the request: ``problem`` says why.
    """

    signals: tuple[SignalReading, ...]
    targets: tuple[TargetReading, ...]
    decision: RouteDecision | None
    inputs: RoutingInputs
    stickiness: Literal["request", "conversation"]
    problem: str = ""


def explain_for(revision: RouteRevision, registry: ModelRegistry, asking: Asking) -> Explanation:
    """Return the explanation for a request as ``Asking`` has it, one from the record included."""
    route = revision.route
    decision: RouteDecision | None = None
    choice: Choice | None = None
    problem = ""
    models = filter_of(registry, asking)
    values = asking.values(route)
    try:
        if asking.requested_model != AUTO:
            decision = decide_for(revision, registry, asking)
        else:
            choice = choose(route, registry, asking, values, models)
            decision = assemble(revision, registry, asking, values, choice, models)
    except NoEligibleModel as none:
        problem = str(none)
    view = _View(
        registry=registry,
        asking=asking,
        values=values,
        tried=tuple(selections(route, values, point=asking.point)),
        choice=choice,
        decision=decision,
        excluded=tuple(models.excluded.values()),
    )
    return Explanation(
        signals=tuple(_readings(revision, asking)),
        targets=view.targets(route.spec.targets),
        decision=decision,
        inputs=asking.inputs,
        stickiness=route.spec.stickiness,
        problem=problem,
    )


def parts_of(expression: Expression, values: Mapping[str, Value]) -> Part:
    """Return the condition as a tree that says of each part whether it held."""
    text, held = written(expression), holds(expression, values)
    match expression:
        case AllOf(operands) | AnyOf(operands):
            parts = tuple(parts_of(operand, values) for operand in operands)
            kind = "all" if isinstance(expression, AllOf) else "any"
            return Part(kind=kind, text=text, held=held, parts=parts)
        case Not(operand):
            return Part(kind="not", text=text, held=held, parts=(parts_of(operand, values),))
        case Comparison(name, _, _) | Membership(name, _):
            return Part(kind="test", text=text, held=held, actual=values[name])
        case _:
            assert_never(expression)


def _percent(target: Target) -> float | None:
    if target.role != "shadow":
        return None
    return 100.0 if target.percent is None else target.percent


def _readings(revision: RouteRevision, asking: Asking) -> Iterator[SignalReading]:
    spec = revision.route.spec
    for name in (*SIGNALS, NAMESPACE, *(f"{METADATA}{key}" for key in spec.metadata_keys)):
        yield SignalReading(
            name=name,
            value=asking.value(name),
            confidence=asking.signals.confidence.get(name),
            is_used=name in spec.names_used,
        )


@dataclass(frozen=True, kw_only=True)
class _View:
    """One request's choice, and what each target was in it."""

    registry: ModelRegistry
    asking: Asking
    values: Mapping[str, Value]
    tried: Sequence[Selection]
    choice: Choice | None
    decision: RouteDecision | None
    excluded: tuple[Exclusion, ...]

    def targets(self, targets: Sequence[Target]) -> tuple[TargetReading, ...]:
        standings: list[Standing] = [self._standing(target) for target in targets]
        total = sum(
            target.share
            for target, standing in zip(targets, standings, strict=True)
            if standing in {"chosen", "matched"}
        )
        return tuple(
            self._reading(index, target, standing, total)
            for index, (target, standing) in enumerate(zip(targets, standings, strict=True))
        )

    def _reading(self, index: int, target: Target, standing: Standing, total: int) -> TargetReading:
        models = tuple(self.registry.resolve(name).id for name in target.names)
        condition = target.condition
        is_routed = self.choice is not None and standing in {"chosen", "matched"}
        return TargetReading(
            index=index,
            name=target.label,
            models=models,
            role=target.role,
            priority=target.priority,
            weight=target.share,
            percent=_percent(target),
            condition=parts_of(condition.expression, self.values) if condition else None,
            held=does_hold(target, self.values),
            share=(target.share / total if total else 1.0) if is_routed else 0.0,
            standing=standing,
            excluded=tuple(each for each in self.excluded if each.model in models),
        )

    def _standing(self, target: Target) -> Standing:
        if target.role == "shadow":
            return self._shadow_standing(target)
        at = self._turn(target)
        if at is None:
            return "not matched" if not does_hold(target, self.values) else "drained"
        if self.choice is None or self.choice.target is None:
            return "excluded" if self.decision is None else "matched"
        chosen_at = self._turn(self.choice.target)
        if target is self.choice.target:
            return "chosen" if self.choice.written in target.names else "excluded"
        if chosen_at is None or at < chosen_at:
            return "excluded"
        if not does_hold(target, self.values):
            return "not matched"
        is_beside = self.tried[at].rank == self.tried[chosen_at].rank
        return "matched" if is_beside else "outranked"

    def _turn(self, target: Target) -> int | None:
        """When the target was to be tried; None if never."""
        turns = (at for at, each in enumerate(self.tried) if each.target is target)
        return next(turns, None)

    def _shadow_standing(self, target: Target) -> Standing:
        if not does_hold(target, self.values):
            return "not matched"
        if self.choice is None or self.decision is None:
            return "not copied"
        if not is_sampled(target, self.asking):
            return "not sampled"
        model = self.registry.resolve(target.names[0])
        return "copied" if model.id in self.decision.shadows else "not copied"
