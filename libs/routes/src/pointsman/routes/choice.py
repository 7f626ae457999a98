"""The target and the model that take one request.

Targets are tried in the order of ``select``. One whose model a constraint or a need of the request
rules out is passed over, and then

1. the next target of the same priority whose condition holds, then those of lower priority, then
   the default;
2. where the default is ruled out, too: the cheapest registered model that meets its constraints;
3. where none does: the default all the same. Cost, latency and capability constraints are given up
   here, and the decision's ``excluded`` says so.

Where data may go (``regions``, ``compliance``) is never given up. When every target of one priority
is passed over, whoever comes later must meet the residency of one of them: a request for which only
European targets hold does not end at the default in another region. If no registered model meets
it, there is no model for the request: ``NoEligibleModel``.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from pointsman.contracts.parts import Exclusion
from pointsman.routes.asking import TOOL_USE, Asking
from pointsman.routes.constraints import Constraints
from pointsman.routes.eligibility import SPEED, Filter
from pointsman.routes.registry import Model, ModelRegistry
from pointsman.routes.select import selections
from pointsman.routes.semantic_route import SemanticRoute
from pointsman.routes.signal_schema import Value
from pointsman.routes.targets import Target


class NoEligibleModel(LookupError):
    """No registered model may see this request's data. ``excluded`` are those that were asked."""

    def __init__(self, excluded: tuple[Exclusion, ...]) -> None:
        against = ", ".join(f"{each.model}: {each.reason}" for each in excluded)
        super().__init__(f"no model meets the route's regions and compliance ({against})")
        self.excluded = excluded


@dataclass(frozen=True, kw_only=True)
class Choice:
    """The chosen target and model. ``constraints`` bind whoever follows or is copied.

    ``written`` is the model's name as the route has it. ``target`` is None for a pinned request.
    """

    target: Target | None
    written: str
    model: Model
    reason: str
    share: float = 1.0
    constraints: Constraints | None = None


def choose(
    route: SemanticRoute,
    registry: ModelRegistry,
    asking: Asking,
    values: Mapping[str, Value],
    models: Filter,
) -> Choice:
    """Return who takes a request that is to be routed.

    Raises: UnknownModel if a target that is tried names a model that is not registered;
    NoEligibleModel.
    """
    given_up: list[Constraints | None] = []
    at = 0
    for selection in selections(route, values, point=asking.point):
        if selection.rank != at:
            models.owe(given_up)
            given_up, at = [], selection.rank
        target = selection.target
        for name, model in fitting(target, registry, asking, models):
            if models.may_take(model, target.constraints):
                return Choice(
                    target=target,
                    written=name,
                    model=model,
                    reason=selection.reason,
                    share=selection.share,
                    constraints=target.constraints,
                )
        given_up.append(target.constraints)
    return _rescue(route.spec.default, registry, asking, models)


def fitting(
    target: Target, registry: ModelRegistry, asking: Asking, models: Filter
) -> list[tuple[str, Model]]:
    """Return the target's models with their names as written, best first by what it prefers.

    A model that can use tools comes before one that cannot where the request wants them.
    """
    named = [(name, registry.resolve(name)) for name in target.names]
    if len(named) < 2:
        return named
    if target.prefer == "latency":
        named.sort(key=lambda each: (SPEED[each[1].latency_class], models.estimate_usd(each[1])))
    elif target.prefer == "cost":
        named.sort(key=lambda each: models.estimate_usd(each[1]))
    if asking.wants_tools:
        named.sort(key=lambda each: TOOL_USE not in each[1].abilities)
    return named


def _rescue(default: Target, registry: ModelRegistry, asking: Asking, models: Filter) -> Choice:
    """Return a model for a request whose targets are all ruled out, the default included."""
    listed = fitting(default, registry, asking, models)
    may_simulate = any(model.is_simulated for _, model in listed)
    by_price = sorted(
        registry.models,
        key=lambda model: (
            asking.wants_tools and TOOL_USE not in model.abilities,
            models.estimate_usd(model),
        ),
    )
    for model in by_price:
        if models.reason_against(model, default.constraints) is not None:
            continue
        if model.is_simulated and not may_simulate:
            # A simulated answer in place of a real one must be asked for by name.
            models.exclude(model, "simulated")
            continue
        return Choice(
            target=default,
            written=model.id,
            model=model,
            reason="the cheapest that the constraints allow",
            constraints=default.constraints,
        )
    residency = default.constraints and default.constraints.residency
    unlisted = [(model.id, model) for model in by_price if may_simulate or not model.is_simulated]
    for name, model in (*listed, *unlisted):
        if models.may_see(model, residency):
            return Choice(
                target=default,
                written=name,
                model=model,
                reason="default, although the constraints rule it out",
                constraints=residency,
            )
    raise NoEligibleModel(tuple(models.excluded.values()))
