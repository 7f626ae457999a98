"""What a target asks of the model that takes its requests, as an operator writes it.

Owns the shape, and which of it is about where data may go (residency: never given up) rather than
about price and speed (given up when nothing else is left; see ``decision``). Whether a model meets
it is in ``eligibility``.
Source: ``select_model`` of the seed documents (capabilities, compliance, region, cost, latency).
"""

from decimal import Decimal
from functools import cached_property
from typing import Annotated

from pydantic import Field, PlainSerializer

from pointsman.routes.registry import LatencyClass, Name
from pointsman.routes.strict import StrictValue

MAX_USD = 1_000_000
MAX_LISTED = 16

Usd = Annotated[
    Decimal,
    Field(ge=0, le=MAX_USD, allow_inf_nan=False),
    # A number in the file stays a number when the route is written again.
    PlainSerializer(float, return_type=float, when_used="json"),
]
Names = Annotated[tuple[Name, ...], Field(max_length=MAX_LISTED)]


class Constraints(StrictValue):
    """What every model of a target must meet: the target's own, fallbacks and escalations.

    ``max_cost_usd`` is for one attempt, as estimated. ``latency_class`` is the slowest that will
    do. Of ``regions`` a model must be served in one; of ``compliance`` and ``capabilities`` it must
    have all. A model that lists no region is in none.
    """

    max_cost_usd: Usd | None = None
    latency_class: LatencyClass | None = None
    regions: Names = ()
    compliance: Names = ()
    capabilities: Names = ()

    @cached_property
    def residency(self) -> "Constraints | None":
        """Only what is about where data may go; None where nothing is."""
        if not self.regions and not self.compliance:
            return None
        return Constraints(regions=self.regions, compliance=self.compliance)
