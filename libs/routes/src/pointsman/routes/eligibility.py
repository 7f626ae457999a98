"""Which models may answer one request: the constraints of a target and the request's own needs.

Owns the filter and its reasons; who is filtered is in ``decision``. A need that no registered model
meets rules nobody out: it would leave the request without any answer.
Source: ``select_model`` of the seed documents.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Literal

from pointsman.contracts.parts import Exclusion
from pointsman.routes.constraints import Constraints
from pointsman.routes.registry import LatencyClass, Model, ModelRegistry

Reason = Literal[
    "cost", "latency", "region", "compliance", "capability", "context_window", "simulated"
]

SPEED: Mapping[LatencyClass, int] = {"fast": 0, "standard": 1, "slow": 2}


def misfit(
    model: Model, constraints: Constraints | None, estimate_usd: Decimal | None = None
) -> Reason | None:
    """Return the first constraint that ``model`` does not meet, residency first.

    Cost is compared only where an estimate is given.
    """
    if constraints is None:
        return None
    if constraints.regions and not any(region in model.regions for region in constraints.regions):
        return "region"
    if not all(standard in model.compliance for standard in constraints.compliance):
        return "compliance"
    if not all(able in model.abilities for able in constraints.capabilities):
        return "capability"
    slowest = constraints.latency_class
    if slowest is not None and SPEED[model.latency_class] > SPEED[slowest]:
        return "latency"
    most = constraints.max_cost_usd
    if most is not None and estimate_usd is not None and estimate_usd > most:
        return "cost"
    return None


@dataclass(kw_only=True)
class Filter:
    """Says for one request which models may take it, and keeps what was ruled out and why.

    ``residency`` holds, for each rank of targets that was given up, what those targets asked of
    where data may go: meeting one of a rank is enough, since any of them could have been chosen.
    """

    registry: ModelRegistry
    required: frozenset[str]
    context_tokens: int
    residency: list[tuple[Constraints, ...]] = field(default_factory=list[tuple[Constraints, ...]])
    excluded: dict[tuple[str, str], Exclusion] = field(
        default_factory=dict[tuple[str, str], Exclusion]
    )
    _estimates: dict[str, Decimal] = field(default_factory=dict[str, Decimal])

    def __post_init__(self) -> None:
        self.required &= self.registry.abilities

    def estimate_usd(self, model: Model) -> Decimal:
        found = self._estimates.get(model.id)
        if found is None:
            found = self._estimates[model.id] = model.estimate_usd(self.context_tokens)
        return found

    def reason_against(self, model: Model, constraints: Constraints | None) -> Reason | None:
        """Return why ``model`` may not take this request, or None if it may."""
        reason = self._owed(model)
        if reason is not None:
            return reason
        estimate = None
        if constraints is not None and constraints.max_cost_usd is not None:
            estimate = self.estimate_usd(model)
        reason = misfit(model, constraints, estimate)
        if reason is not None:
            return reason
        if not self.required <= model.abilities:
            return "capability"
        return "context_window" if self.context_tokens > model.context_window else None

    def may_take(self, model: Model, constraints: Constraints | None) -> bool:
        """Return whether ``model`` may take this request; keep the reason where it may not."""
        reason = self.reason_against(model, constraints)
        if reason is not None:
            self.exclude(model, reason)
        return reason is None

    def may_see(self, model: Model, constraints: Constraints | None) -> bool:
        """Return whether the request's data may go to ``model``, whatever else it lacks."""
        reason = self._owed(model) or misfit(model, constraints and constraints.residency)
        if reason is not None:
            self.exclude(model, reason)
        return reason is None

    def exclude(self, model: Model, reason: Reason) -> None:
        self.excluded[model.id, reason] = Exclusion(model=model.id, reason=reason)

    def owe(self, given_up: Iterable[Constraints | None]) -> None:
        """Bind every later choice to where the data of a rank that was given up may go."""
        asked = tuple(constraints and constraints.residency for constraints in given_up)
        bound = tuple(residency for residency in asked if residency is not None)
        if bound and len(bound) == len(asked):
            self.residency.append(bound)

    def _owed(self, model: Model) -> Reason | None:
        for rank in self.residency:
            reasons: list[Reason | None] = [misfit(model, residency) for residency in rank]
            if None not in reasons:
                return reasons[0]
        return None
