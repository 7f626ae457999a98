"""What a request's answer by one model costs and how long it takes: recorded, else estimated.

Owns where each figure is from, and sums of them. A model that was never seen has no latency; its
cost counts as many tokens as the registry says are typical.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Literal, get_args

from pydantic import BaseModel, ConfigDict, computed_field

from pointsman.cli.route_history import ModelRecord, RecordedRequest
from pointsman.routes.registry import ModelRegistry
from pointsman.routes.replay import NO_MODEL

Source = Literal["recorded", "mean", "registry", "unknown"]
"""Where a figure is from: this request's own answer by this model, the mean of the model's recorded
answers, what the registry says is typical, or nowhere."""

SOURCES: tuple[Source, ...] = get_args(Source)

Sources = dict[Source, int]
"""How many requests each source gave a figure for; only those that did, best known first."""


class Cost(BaseModel):
    """Sums over the ``requests`` of which both sides are known; None where there are none."""

    model_config = ConfigDict(frozen=True)

    old_usd: Decimal | None
    new_usd: Decimal | None
    requests: int
    unknown: int
    old_from: Sources
    new_from: Sources

    @computed_field
    @property
    def delta_usd(self) -> Decimal | None:
        return None if self.old_usd is None or self.new_usd is None else self.new_usd - self.old_usd


class Latency(BaseModel):
    """Means over the ``requests`` of which both sides are known; None where there are none."""

    model_config = ConfigDict(frozen=True)

    old_s: float | None
    new_s: float | None
    requests: int
    unknown: int
    old_from: Sources
    new_from: Sources

    @computed_field
    @property
    def delta_s(self) -> float | None:
        return None if self.old_s is None or self.new_s is None else self.new_s - self.old_s


@dataclass(frozen=True, kw_only=True, slots=True)
class Figures:
    """One request under one route. None goes with the source ``unknown``, and only with that."""

    cost_usd: Decimal | None
    cost_from: Source
    latency_s: float | None
    latency_from: Source


class Estimates:
    """What answers of this registry's models take, from what was recorded of them."""

    def __init__(self, registry: ModelRegistry, records: Mapping[str, ModelRecord]) -> None:
        self._registry = registry
        self._records = records

    def of(self, request: RecordedRequest, model: str) -> Figures:
        """Return what ``model``'s answer to ``request`` takes, at this registry's price."""
        if model == NO_MODEL:
            return _NOTHING
        priced = self._registry.resolve(model)
        work = request.work_of(model)
        if work is not None:
            cost = priced.cost_usd(input_tokens=work.input_tokens, output_tokens=work.output_tokens)
            return Figures(
                cost_usd=cost,
                cost_from="recorded",
                latency_s=work.duration_s,
                latency_from="recorded",
            )
        record = self._records.get(model)
        duration_s = record.mean_duration_s if record else None
        written = record.mean_output_tokens if record else None
        prompt = request.input_tokens
        cost = None
        if prompt is not None:
            answer = Decimal(priced.typical_output_tokens) if written is None else written
            cost = priced.token_cost.input * prompt + priced.token_cost.output * answer
        return Figures(
            cost_usd=cost,
            cost_from="unknown" if cost is None else "registry" if written is None else "mean",
            latency_s=duration_s,
            latency_from="unknown" if duration_s is None else "mean",
        )


# Nobody answers: that is no saving.
_NOTHING = Figures(cost_usd=None, cost_from="unknown", latency_s=None, latency_from="unknown")


@dataclass(kw_only=True, slots=True)
class Tally:
    """Sums of pairs of figures, the old route's and the new one's."""

    requests: int = 0
    priced: int = 0
    timed: int = 0
    old_usd: Decimal = Decimal(0)
    new_usd: Decimal = Decimal(0)
    old_s: float = 0.0
    new_s: float = 0.0
    old_cost_from: Counter[Source] = field(default_factory=Counter[Source])
    new_cost_from: Counter[Source] = field(default_factory=Counter[Source])
    old_latency_from: Counter[Source] = field(default_factory=Counter[Source])
    new_latency_from: Counter[Source] = field(default_factory=Counter[Source])

    def add(self, old: Figures, new: Figures) -> None:
        """Count one request; what is unknown on one side counts on neither."""
        self.requests += 1
        self.old_cost_from[old.cost_from] += 1
        self.new_cost_from[new.cost_from] += 1
        self.old_latency_from[old.latency_from] += 1
        self.new_latency_from[new.latency_from] += 1
        if old.cost_usd is not None and new.cost_usd is not None:
            self.priced += 1
            self.old_usd += old.cost_usd
            self.new_usd += new.cost_usd
        if old.latency_s is not None and new.latency_s is not None:
            self.timed += 1
            self.old_s += old.latency_s
            self.new_s += new.latency_s

    @property
    def cost(self) -> Cost:
        return Cost(
            old_usd=self.old_usd if self.priced else None,
            new_usd=self.new_usd if self.priced else None,
            requests=self.priced,
            unknown=self.requests - self.priced,
            old_from=_ordered(self.old_cost_from),
            new_from=_ordered(self.new_cost_from),
        )

    @property
    def latency(self) -> Latency:
        return Latency(
            old_s=self.old_s / self.timed if self.timed else None,
            new_s=self.new_s / self.timed if self.timed else None,
            requests=self.timed,
            unknown=self.requests - self.timed,
            old_from=_ordered(self.old_latency_from),
            new_from=_ordered(self.new_latency_from),
        )


def _ordered(counted: Counter[Source]) -> Sources:
    return {source: counted[source] for source in SOURCES if counted[source]}
