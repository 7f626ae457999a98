"""What is wrong or surprising about a route's models, given the registry.

Owns every check that looks a model up: that it exists, that constraints leave one, that fallbacks,
escalations and second opinions can do what the route expects of them.
"""

from collections.abc import Iterator

from pointsman.routes.constraints import Constraints
from pointsman.routes.eligibility import misfit
from pointsman.routes.evaluators import RouteEvaluator
from pointsman.routes.issue import Issue, error, warning
from pointsman.routes.registry import Model, ModelRegistry, UnknownModel
from pointsman.routes.semantic_route import SemanticRoute
from pointsman.routes.targets import Target


def model_issues(route: SemanticRoute, registry: ModelRegistry) -> Iterator[Issue]:
    """Return what is wrong with the route's models; nothing else while one is unknown."""
    unknown = list(_unknown(route, registry))
    if unknown:
        yield from unknown
        return
    for index, target in enumerate(route.spec.targets):
        path = f"spec.targets[{index}]"
        if target.constraints is not None:
            yield from _constraints(path, target, target.constraints, registry)
        yield from _fallbacks(path, target, registry)
        evaluator = target.evaluator or route.spec.evaluator
        if evaluator is not None and target.role != "shadow":
            yield from _second_models(path, target, evaluator, registry)
    yield from _escalations(route, registry)


def same_model(name: str, registry: ModelRegistry | None) -> str:
    """Return the registry id behind ``name``, or the name where there is none."""
    model = _model(name, registry)
    return model.id if model else name


def _model(name: str, registry: ModelRegistry | None) -> Model | None:
    try:
        return registry.resolve(name) if registry else None
    except UnknownModel:
        return None


def _names(route: SemanticRoute) -> Iterator[tuple[str, str]]:
    """Yield every model name of a route with its path."""
    for index, target in enumerate(route.spec.targets):
        path = f"spec.targets[{index}]"
        if target.model is not None:
            yield f"{path}.model", target.model
        for at, name in enumerate(target.models):
            yield f"{path}.models[{at}]", name
        for at, fallback in enumerate(target.fallbacks):
            yield f"{path}.fallbacks[{at}].model", fallback.model
        yield from _evaluator_names(f"{path}.evaluator", target.evaluator)
    yield from _evaluator_names("spec.evaluator", route.spec.evaluator)


def _evaluator_names(path: str, evaluator: RouteEvaluator | None) -> Iterator[tuple[str, str]]:
    if evaluator is not None and evaluator.sibling is not None:
        yield f"{path}.sibling", evaluator.sibling
    if evaluator is not None and evaluator.critic is not None:
        yield f"{path}.critic", evaluator.critic


def _unknown(route: SemanticRoute, registry: ModelRegistry) -> Iterator[Issue]:
    for path, name in _names(route):
        try:
            registry.resolve(name)
        except UnknownModel as unknown:
            yield error(path, str(unknown))


def _constraints(
    path: str, target: Target, constraints: Constraints, registry: ModelRegistry
) -> Iterator[Issue]:
    """A target whose own models its constraints rule out is a contradiction."""
    models = [registry.resolve(name) for name in target.names]
    misfits = {model.id: misfit(model, constraints) for model in models}
    if all(misfits.values()):
        for name, reason in misfits.items():
            yield error(f"{path}.constraints", f"the target's own {name} is ruled out: {reason}")
        return
    for name, reason in misfits.items():
        if reason is not None:
            yield warning(f"{path}.models", f"{name} is never chosen, it is ruled out: {reason}")
    most = constraints.max_cost_usd
    if most is None:
        return
    least = min(model.estimate_usd(0) for model in models)
    if least > most:
        yield warning(
            f"{path}.constraints.maxCostUsd",
            f"never chosen: an answer of usual length alone is estimated at "
            f"{least.normalize():f} USD, the most allowed is {most.normalize():f}",
        )


def _fallbacks(path: str, target: Target, registry: ModelRegistry) -> Iterator[Issue]:
    own = {same_model(name, registry) for name in target.names}
    seen: set[str] = set()
    for at, fallback in enumerate(target.fallbacks):
        model = registry.resolve(fallback.model)
        where = f"{path}.fallbacks[{at}]"
        reason = misfit(model, target.constraints)
        if own == {model.id}:
            yield warning(
                where, f"{fallback.model} is the target itself: never tried as a fallback"
            )
        elif model.id in seen:
            yield warning(where, f"{fallback.model} is listed twice")
        elif reason is not None:
            message = f"{fallback.model} is never tried: the constraints rule it out: {reason}"
            yield warning(where, message)
        seen.add(model.id)


def _second_models(
    path: str, target: Target, evaluator: RouteEvaluator, registry: ModelRegistry
) -> Iterator[Issue]:
    """A second opinion of the same model is none; one that must not see the data is not asked."""
    own = {same_model(name, registry) for name in target.names}
    residency = target.constraints and target.constraints.residency
    for part, name in (("sibling", evaluator.sibling), ("critic", evaluator.critic)):
        if name is None:
            continue
        model = registry.resolve(name)
        reason = misfit(model, residency)
        if own == {model.id}:
            message = f"the evaluator's {part} is the target's own model: it agrees with itself"
            yield warning(path, message)
        elif reason is not None:
            message = f"the evaluator's {part} {name} is not asked here, it is ruled out: {reason}"
            yield warning(path, message)


def _escalations(route: SemanticRoute, registry: ModelRegistry) -> Iterator[Issue]:
    """Warn where low scores should escalate and no target has anybody dearer above it."""
    escalating = [
        target
        for target in route.spec.targets
        if target.role != "shadow" and _escalates(target.evaluator or route.spec.evaluator)
    ]
    if not escalating:
        return
    listed = [
        registry.resolve(name)
        for target in route.spec.targets
        if target.role == "primary" and target.share > 0
        for name in target.names
    ]
    for target in escalating:
        for name in target.names:
            model = registry.resolve(name)
            above = [m for m in listed if m.token_cost.output > model.token_cost.output]
            above += registry.stronger_than(model)
            if any(misfit(other, target.constraints) is None for other in above):
                return
    message = "low scores should escalate, but no model is dearer: answers are returned flagged"
    path = "spec.evaluator" if route.spec.evaluator else "spec.targets"
    yield warning(path, message)


def _escalates(evaluator: RouteEvaluator | None) -> bool:
    return (
        evaluator is not None
        and evaluator.mode == "gate"
        and evaluator.on_low_score == "escalate"
        and evaluator.max_attempts > 1
    )
