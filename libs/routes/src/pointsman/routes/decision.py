"""From a route, the registry and one request's signals to the decision that travels with it.

Owns how names become registry ids, who may follow when a model fails or is too weak, and when tools
are bound. Pure: the same input gives the same decision in every process.
"""

from collections.abc import Iterable

from pointsman.contracts.parts import RouteDecision, Signals
from pointsman.routes.registry import Model, ModelRegistry
from pointsman.routes.select import select
from pointsman.routes.semantic_route import SemanticRoute
from pointsman.routes.signal_schema import values_of
from pointsman.routes.source import RouteRevision

AUTO = "auto"
"""The model name that asks to be routed."""

# tool_need is a probability; tools are bound once needing them is likelier than not.
TOOLS_FROM = 0.5


def decide(
    revision: RouteRevision,
    registry: ModelRegistry,
    signals: Signals,
    *,
    request_id: str,
    requested_model: str = AUTO,
    has_own_tools: bool = False,
) -> RouteDecision:
    """Return what the route in force chooses for one request.

    ``has_own_tools``: the client sent tools, so it owns the tool loop and none of ours are bound.
    A request that names a model is pinned to it: it may fall back, but never escalates.
    Raises: UnknownModel if the request or the chosen target names a model that is not registered.
    """
    route = revision.route
    evaluator = route.spec.evaluator.for_decision if route.spec.evaluator else None
    if requested_model == AUTO:
        selection = select(route, signals, key=request_id)
        target, reason = selection.target.model, selection.reason
        model = registry.resolve(target)
        escalations = _escalations(route, registry, model)
    else:
        target, reason = requested_model, "pinned by the request"
        model = registry.resolve(target)
        escalations = ()
        evaluator = evaluator and evaluator.model_copy(update={"on_low_score": "flag"})
    return RouteDecision(
        route=route.name,
        revision=revision.revision,
        target=target,
        model=model.id,
        reason=reason,
        fallbacks=_ids_besides(model, (registry.resolve(name) for name in model.fallbacks)),
        escalations=escalations,
        evaluator=evaluator,
        use_tools=signals.tool_need >= TOOLS_FROM and not has_own_tools,
    )


def explain(revision: RouteRevision, signals: Signals) -> list[tuple[str, bool]]:
    """Return each target's condition, in the file's order, and whether it held.

    A target without a condition reads ``always``.
    """
    values = values_of(signals)
    return [
        ("always", True)
        if target.condition is None
        else (str(target.condition), target.condition.holds(values))
        for target in revision.route.spec.targets
    ]


def _escalations(route: SemanticRoute, registry: ModelRegistry, model: Model) -> tuple[str, ...]:
    targets = (registry.resolve(t.model) for t in route.spec.targets if t.weight > 0)
    dearer = (other for other in targets if other.token_cost.output > model.token_cost.output)
    by_price = sorted(dearer, key=lambda other: other.token_cost.output)
    return _ids_besides(model, (*by_price, *registry.stronger_than(model)))


def _ids_besides(model: Model, others: Iterable[Model]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(other.id for other in others if other.id != model.id))
