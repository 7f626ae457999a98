"""What is wrong or surprising about a route that parses.

Owns the checks that need more than one field or the registry. Errors keep a route from being used;
warnings do not.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise, product
from typing import Literal

from pointsman.routes.condition import comparisons
from pointsman.routes.registry import ModelRegistry, UnknownModel
from pointsman.routes.select import default_targets
from pointsman.routes.semantic_route import SemanticRoute, Target
from pointsman.routes.signal_schema import SIGNALS, SignalType, Value

# Beyond this many combinations of signal values no verdict on reachability is given.
_MAX_CASES = 20_000


@dataclass(frozen=True, kw_only=True)
class Issue:
    level: Literal["error", "warning"]
    path: str
    message: str


def validate(route: SemanticRoute, registry: ModelRegistry | None) -> list[Issue]:
    """Return every issue of ``route``, in the order of the file; models only with a registry."""
    return [
        *_unknown_models(route, registry),
        *_weights(route),
        *_duplicates(route, registry),
        *_never_true(route),
        *_implied_default(route),
    ]


def _unknown_models(route: SemanticRoute, registry: ModelRegistry | None) -> Iterator[Issue]:
    if registry is None:
        return
    for index, target in enumerate(route.spec.targets):
        try:
            registry.resolve(target.model)
        except UnknownModel as error:
            yield Issue(level="error", path=f"spec.targets[{index}].model", message=str(error))


def _weights(route: SemanticRoute) -> Iterator[Issue]:
    targets = route.spec.targets
    if all(target.weight == 0 for target in targets):
        yield Issue(level="error", path="spec.targets", message="every weight is 0")
        return
    for index, target in enumerate(targets):
        if target.weight == 0:
            message = f"weight 0: {target.model} is never chosen"
            yield Issue(level="warning", path=f"spec.targets[{index}].weight", message=message)


def _duplicates(route: SemanticRoute, registry: ModelRegistry | None) -> Iterator[Issue]:
    first: dict[tuple[str, str], int] = {}
    for index, target in enumerate(route.spec.targets):
        same = first.setdefault((_model(target, registry), str(target.condition)), index)
        if same != index:
            message = f"same model and condition as spec.targets[{same}]; their weights add up"
            yield Issue(level="warning", path=f"spec.targets[{index}]", message=message)


def _model(target: Target, registry: ModelRegistry | None) -> str:
    try:
        return registry.resolve(target.model).id if registry else target.model
    except UnknownModel:
        return target.model


def _implied_default(route: SemanticRoute) -> Iterator[Issue]:
    if any(target.condition is None for target in route.spec.targets):
        return
    default = default_targets(route)[0]
    index = route.spec.targets.index(default)
    yield Issue(
        level="warning",
        path=f"spec.targets[{index}]",
        message=f"no target is without a condition; {default.model} is the default",
    )


def _never_true(route: SemanticRoute) -> Iterator[Issue]:
    """Say which conditions hold for no combination of signal values."""
    for index, target in enumerate(route.spec.targets):
        if target.condition is None:
            continue
        cases = _cases(target)
        if cases is not None and not any(target.condition.holds(case) for case in cases):
            path = f"spec.targets[{index}].condition"
            yield Issue(level="warning", path=path, message="the condition can never hold")


def _cases(target: Target) -> Iterator[dict[str, Value]] | None:
    """Return one case for each combination of values that the condition can tell apart."""
    seen: dict[str, set[Value]] = {}
    for name, value in comparisons(target.condition.expression) if target.condition else ():
        seen.setdefault(name, set()).add(value)
    choices = {name: _samples(SIGNALS[name], values) for name, values in seen.items()}
    size = 1
    for values in choices.values():
        size *= len(values)
    if size > _MAX_CASES:
        return None
    return (dict(zip(choices, case, strict=True)) for case in product(*choices.values()))


def _samples(signal: SignalType, values: set[Value]) -> tuple[Value, ...]:
    match signal.kind:
        case "closed":
            return signal.values
        case "text":
            # The empty text stands for every word that the condition does not mention.
            return ("", *sorted(str(value) for value in values))
        case "number":
            edges = sorted({signal.low, signal.high, *(float(value) for value in values)})
            between = ((low + high) / 2 for low, high in pairwise(edges))
            return (*edges, *between)
