"""The SemanticRoute file: what an operator writes, as frozen values.

Owns the file's shape, its bounds, and that a condition names only signals the route lists. What a
route means for one request is in ``select``; whether its models exist is in ``validate``.
Names are camelCase in the file and snake_case in Python.
Source: REQUIREMENTS S0:514-530 (the slide); the evaluator's fields beyond minScore are our own.
"""

from functools import cached_property
from typing import Annotated, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PlainSerializer,
    PlainValidator,
    WithJsonSchema,
    field_validator,
    model_validator,
)
from pydantic.alias_generators import to_camel

from pointsman.contracts import parts
from pointsman.routes import condition as conditions
from pointsman.routes.condition import Condition
from pointsman.routes.registry import Name
from pointsman.routes.signal_schema import SIGNALS
from pointsman.routes.tokens import ConditionError

MAX_TARGETS = 64
MAX_WEIGHT = 1_000_000


def _parse_condition(value: object) -> Condition:
    if isinstance(value, Condition):
        return value
    if not isinstance(value, str):
        raise ValueError("a condition is text, in quotation marks where YAML needs them")  # noqa: TRY004 (pydantic takes ValueError)
    return conditions.parse(value)


_ConditionField = Annotated[
    Condition,
    PlainValidator(_parse_condition),
    PlainSerializer(lambda condition: condition.text, return_type=str),
    WithJsonSchema({"type": "string", "maxLength": conditions.MAX_LENGTH}),
]

_Label = Annotated[str, Field(max_length=4096)]


class _Strict(BaseModel):
    model_config = ConfigDict(
        frozen=True, extra="forbid", alias_generator=to_camel, populate_by_name=True
    )


class Metadata(_Strict):
    name: str = Field(min_length=1, max_length=253, pattern=r"^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$")
    namespace: str | None = Field(default=None, min_length=1, max_length=63)
    labels: dict[str, _Label] = Field(default_factory=dict, max_length=64)
    annotations: dict[str, _Label] = Field(default_factory=dict, max_length=64)


class Target(_Strict):
    """One model a request may go to. ``weight`` is relative among the targets that hold."""

    model: Name
    weight: int = Field(default=1, ge=0, le=MAX_WEIGHT, strict=True)
    condition: _ConditionField | None = None


class RouteEvaluator(_Strict):
    """How answers are judged; ``min_score`` is on the scale 0 to 10."""

    min_score: float = Field(ge=0, le=10)
    mode: Literal["gate", "observe"] = "gate"
    max_attempts: int = Field(default=3, ge=1, le=10, strict=True)
    on_low_score: Literal["escalate", "flag"] = "escalate"
    on_judge_failure: Literal["accept", "flag", "fail"] = "flag"

    @cached_property
    def for_decision(self) -> parts.Evaluator:
        """The same as the message part that travels with a request."""
        return parts.Evaluator.model_validate(self.model_dump())


class Spec(_Strict):
    signals: tuple[str, ...] = Field(min_length=1, max_length=len(SIGNALS))
    targets: tuple[Target, ...] = Field(min_length=1, max_length=MAX_TARGETS)
    evaluator: RouteEvaluator | None = None

    @field_validator("signals")
    @classmethod
    def _signals_are_known_and_listed_once(cls, signals: tuple[str, ...]) -> tuple[str, ...]:
        for name in signals:
            if name not in SIGNALS:
                raise ValueError(f"unknown signal {name!r} (one of: {', '.join(SIGNALS)})")
        if len(set(signals)) < len(signals):
            raise ValueError("a signal is listed twice")
        return signals

    @model_validator(mode="after")
    def _conditions_use_listed_signals(self) -> Self:
        for index, target in enumerate(self.targets):
            for name, column in target.condition.columns if target.condition else ():
                if name not in self.signals:
                    raise ConditionError(
                        target.condition.text if target.condition else "",
                        column,
                        f"signal {name!r} is not listed in spec.signals",
                        path=f"spec.targets[{index}].condition",
                    )
        return self


class SemanticRoute(_Strict):
    api_version: Literal["ai.gateway/v1"]
    kind: Literal["SemanticRoute"]
    metadata: Metadata
    spec: Spec

    @property
    def name(self) -> str:
        return self.metadata.name
