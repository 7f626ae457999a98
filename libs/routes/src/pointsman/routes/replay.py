"""Recorded requests decided again, under the route they came to and under another one.

Owns what a decision hangs on that the record may not hold. Pure: signals and inputs are taken as
recorded, and no text is needed. What follows for cost and latency is not decided here.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import assert_never

from pointsman.contracts.parts import RouteDecision, RoutingInputs, Signals
from pointsman.routes.asking import AUTO, Asking
from pointsman.routes.choice import NoEligibleModel, choose
from pointsman.routes.condition import AllOf, AnyOf, Comparison, Expression, Membership, Not, holds
from pointsman.routes.decision import filter_of
from pointsman.routes.registry import ModelRegistry
from pointsman.routes.signal_schema import METADATA, SIGNALS, Value
from pointsman.routes.source import RouteRevision

NO_MODEL = ""
"""Stands for the model where a route lets none take the request."""


@dataclass(frozen=True, kw_only=True)
class Version:
    """A route, and the registry it is read with."""

    route: RouteRevision
    registry: ModelRegistry

    @cached_property
    def signals(self) -> frozenset[str]:
        """The signals that conditions of the route name."""
        return frozenset(name for name in self.route.route.spec.names_used if name in SIGNALS)

    @cached_property
    def turned_by(self) -> tuple[tuple[Expression, frozenset[str]], ...]:
        """The conditions of targets that can be chosen, each with the names it uses."""
        return tuple(
            (target.condition.expression, frozenset(name for name, _ in target.condition.columns))
            for target in self.route.route.spec.targets
            if target.condition is not None and target.role != "shadow"
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Decided:
    """What one route makes of a request. ``model`` is a registry id, or ``NO_MODEL``."""

    model: str
    target: str
    reason: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Replayed:
    """One recorded request under two routes.

    ``model`` and ``revision`` are of the decision that was recorded. ``hangs_on`` are names whose
    values were not recorded and on which either decision may depend.
    """

    model: str
    revision: str
    is_pinned: bool
    old: Decided
    new: Decided
    hangs_on: tuple[str, ...] = ()


def replay(
    signals: Signals,
    inputs: RoutingInputs,
    decision: RouteDecision,
    *,
    request_id: str,
    namespace: str,
    old: Version,
    new: Version,
) -> Replayed:
    """Decide a recorded request again; ``decision`` is what was recorded of it.

    A request that named its model goes there under any route and is not decided again.
    Raises: UnknownModel if a target names a model that its registry does not have.
    """
    if inputs.requested_model != AUTO or decision.role == "pinned":
        kept = Decided(model=decision.model, target=decision.target, reason=decision.reason)
        return Replayed(
            model=decision.model, revision=decision.revision, is_pinned=True, old=kept, new=kept
        )
    asking = Asking.again(signals, inputs, request_id=request_id, namespace=namespace)
    before, after = asking.values(old.route.route), asking.values(new.route.route)
    hanging = (*_hanging(old, asking, before), *_hanging(new, asking, after))
    return Replayed(
        model=decision.model,
        revision=decision.revision,
        is_pinned=False,
        old=_decided(old, asking, before),
        new=_decided(new, asking, after),
        hangs_on=tuple(dict.fromkeys(hanging)),
    )


def _decided(version: Version, asking: Asking, values: Mapping[str, Value]) -> Decided:
    """The choice alone: who follows it is half of a decision's work, and not asked for here."""
    route, registry = version.route.route, version.registry
    try:
        choice = choose(route, registry, asking, values, filter_of(registry, asking))
    except NoEligibleModel:
        return Decided(model=NO_MODEL, target="", reason="no model meets where the data may go")
    named = choice.target.name if choice.target else None
    return Decided(model=choice.model.id, target=named or choice.written, reason=choice.reason)


def _hanging(version: Version, asking: Asking, values: Mapping[str, Value]) -> Iterator[str]:
    """Yield the names without a recorded value that can turn a condition of this route."""
    keys = version.route.route.spec.metadata_keys
    unknown = {
        *(version.signals - asking.signals.model_fields_set),
        *(f"{METADATA}{key}" for key in keys if key not in asking.metadata),
    }
    if not unknown:
        return
    for expression, names in version.turned_by:
        missing = names & unknown
        if missing and _truth(expression, values, missing) is None:
            yield from sorted(missing)


def _truth(
    expression: Expression, values: Mapping[str, Value], unknown: Collection[str]
) -> bool | None:
    """Return whether ``expression`` is true; None where that hangs on an unknown value.

    Source: Kleene's three-valued logic.
    """
    match expression:
        case AnyOf(operands) | AllOf(operands):
            settles = isinstance(expression, AnyOf)
            found = [_truth(operand, values, unknown) for operand in operands]
            if settles in found:
                return settles
            return None if None in found else not settles
        case Not(operand):
            inner = _truth(operand, values, unknown)
            return None if inner is None else not inner
        case Comparison() | Membership():
            return None if expression.signal in unknown else holds(expression, values)
        case _:
            assert_never(expression)
