"""How a route wants answers judged, as an operator writes it.

Owns the file's shape; what it means for a request is ``contracts.parts.Evaluator``.
"""

from functools import cached_property
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from pointsman.contracts import parts
from pointsman.routes.constraints import Usd
from pointsman.routes.registry import Name
from pointsman.routes.strict import StrictValue

LowScore = Literal["escalate", "human", "flag"]


def _as_written(value: object) -> object:
    """YAML 1.1 reads ``off`` as false; a file that says ``plan: off`` means the word."""
    return "off" if value is False else value


class RouteEvaluator(StrictValue):
    """How answers are judged; ``min_score`` is on the scale 0 to 10.

    Unlike in a message, where it must be asked for, ``plan`` is ``gate``: a route that judges
    answers also judges what tools are about to do.
    """

    min_score: float = Field(ge=0, le=10)
    mode: Literal["gate", "observe"] = "gate"
    max_attempts: int = Field(default=3, ge=1, le=10, strict=True)
    budget_usd: Usd | None = None
    on_low_score: LowScore = "escalate"
    on_unsure: Literal["accept", "escalate", "human", "flag"] = "escalate"
    on_judge_failure: Literal["accept", "flag", "fail"] = "flag"
    sibling: Name | None = None
    critic: Name | None = None
    plan: Annotated[Literal["gate", "off"], BeforeValidator(_as_written)] = "gate"

    @cached_property
    def for_decision(self) -> parts.Evaluator:
        """The same as the message part that travels with a request, with names as written."""
        return parts.Evaluator.model_validate(self.model_dump())

    @cached_property
    def for_pinned(self) -> parts.Evaluator:
        """The same for a request that named its model: no other one may answer it, or see it."""
        given = self.for_decision
        return given.model_copy(
            update={
                "on_low_score": _without_escalation(given.on_low_score),
                "on_unsure": _without_escalation(given.on_unsure),
                "sibling": None,
                "critic": None,
            }
        )


def _without_escalation(policy: str) -> str:
    return "flag" if policy == "escalate" else policy
