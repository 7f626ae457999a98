"""Who else gets a request: when its model fails, when its answer is weak, and as a shadow.

Owns the three lists. Whoever is in them meets the constraints of the chosen target.
"""

import hashlib
from collections.abc import Collection, Iterable, Iterator, Mapping

from pointsman.contracts.errors import ErrorCode
from pointsman.routes.asking import TOOL_USE, Asking
from pointsman.routes.choice import Choice, fitting
from pointsman.routes.eligibility import Filter
from pointsman.routes.registry import Model, ModelRegistry
from pointsman.routes.select import does_hold
from pointsman.routes.semantic_route import SemanticRoute
from pointsman.routes.signal_schema import Value
from pointsman.routes.targets import Target

MAX_SHADOWS = 4


def fallbacks(
    route: SemanticRoute,
    registry: ModelRegistry,
    asking: Asking,
    values: Mapping[str, Value],
    choice: Choice,
    models: Filter,
) -> tuple[str, ...]:
    """Return who is tried, in order, when the chosen model fails.

    A canary's are the primary targets that hold for the same request, then as for any target: its
    own fallbacks, else the rest of its pool and the registry's.
    """
    found: list[Model] = []
    target = choice.target
    if target is not None and target.role == "canary":
        for primary in _primaries(route, values):
            found += [model for _, model in fitting(primary, registry, asking, models)]
    if target is not None and target.fallbacks:
        found += [registry.resolve(fallback.model) for fallback in target.fallbacks]
    else:
        if target is not None and target.models:
            found += [model for _, model in fitting(target, registry, asking, models)]
        named = [registry.resolve(name) for name in choice.model.fallbacks]
        found += _able_first(named, asking)
    return _followers(choice, found, models)


def fallback_codes(
    choice: Choice, registry: ModelRegistry, behind: Collection[str]
) -> dict[str, tuple[ErrorCode, ...]]:
    """Return for which errors each fallback in ``behind`` is meant, where the target says so."""
    if choice.target is None:
        return {}
    codes = {
        registry.resolve(each.model).id: each.on_errors
        for each in choice.target.fallbacks
        if each.on_errors
    }
    return {name: codes[name] for name in behind if name in codes}


def escalations(
    route: SemanticRoute, registry: ModelRegistry, asking: Asking, choice: Choice, models: Filter
) -> tuple[str, ...]:
    """Return who is asked, in order, when an answer is too weak: dearer models, the route's first.

    Of the registry's own no simulated one follows a real one.
    """
    price = choice.model.token_cost.output
    listed = [
        registry.resolve(name)
        for target in route.spec.targets
        if target.role == "primary" and target.share > 0
        for name in target.names
    ]
    dearer = sorted(
        (model for model in listed if model.token_cost.output > price),
        key=lambda model: model.token_cost.output,
    )
    stronger = registry.stronger_than(choice.model)
    if not choice.model.is_simulated:
        named = {model.id for model in listed}
        for model in stronger:
            if model.is_simulated and model.id not in named:
                models.exclude(model, "simulated")
        stronger = tuple(m for m in stronger if not m.is_simulated or m.id in named)
    return _followers(choice, _able_first((*dearer, *stronger), asking), models)


def shadows(
    route: SemanticRoute,
    registry: ModelRegistry,
    asking: Asking,
    values: Mapping[str, Value],
    choice: Choice,
    models: Filter,
) -> tuple[str, ...]:
    """Return who gets a copy of the request: at most ``MAX_SHADOWS``, never the chosen model."""
    found: dict[str, None] = {}
    for target in route.spec.shadows:
        if len(found) == MAX_SHADOWS:
            break
        if not does_hold(target, values) or not is_sampled(target, asking):
            continue
        model = registry.resolve(target.names[0])
        if model.id == choice.model.id:
            continue
        # A copy is the same data: it goes only where the original may.
        if models.may_see(model, choice.constraints) and models.may_take(model, target.constraints):
            found[model.id] = None
    return tuple(found)


def is_sampled(shadow: Target, asking: Asking) -> bool:
    """Return whether this request is in the shadow's percent; each shadow draws on its own."""
    if shadow.percent is None or shadow.percent >= 100:
        return True
    drawn = hashlib.sha256(f"{asking.request_id}.shadow.{shadow.label}".encode()).digest()
    return int.from_bytes(drawn[:8]) * 100 < shadow.percent * 2**64


def _primaries(route: SemanticRoute, values: Mapping[str, Value]) -> Iterator[Target]:
    for rank in route.spec.ranks:
        for target in rank:
            if target.role == "primary" and does_hold(target, values):
                yield target
    yield route.spec.default


def _able_first(found: Iterable[Model], asking: Asking) -> list[Model]:
    if not asking.wants_tools:
        return list(found)
    return sorted(found, key=lambda model: TOOL_USE not in model.abilities)


def _followers(choice: Choice, found: Iterable[Model], models: Filter) -> tuple[str, ...]:
    by_id = {model.id: model for model in found if model.id != choice.model.id}
    return tuple(
        name for name, model in by_id.items() if models.may_take(model, choice.constraints)
    )
