"""The SemanticRoute file: what an operator writes, as frozen values.

Owns the file's shape, its bounds, and that a condition names only signals the route lists; targets
and evaluators are in modules of those names. What a route means for one request is in ``decision``;
whether its models exist is in ``validate``.
Names are camelCase in the file and snake_case in Python.
Source: REQUIREMENTS S0:514-530 (the slide); everything beyond the slide is our own.
"""

from functools import cached_property
from itertools import groupby
from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from pointsman.routes.evaluators import RouteEvaluator
from pointsman.routes.signal_schema import METADATA, SIGNALS, name_type
from pointsman.routes.strict import StrictValue
from pointsman.routes.targets import Target
from pointsman.routes.tokens import ConditionError

MAX_TARGETS = 64

_Label = Annotated[str, Field(max_length=4096)]


class Metadata(StrictValue):
    name: str = Field(min_length=1, max_length=253, pattern=r"^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$")
    namespace: str | None = Field(default=None, min_length=1, max_length=63)
    labels: dict[str, _Label] = Field(default_factory=dict, max_length=64)
    annotations: dict[str, _Label] = Field(default_factory=dict, max_length=64)


class Spec(StrictValue):
    """``stickiness`` says what weights and canaries are drawn by: the request, or its conversation.

    Source: REQUIREMENTS, "SemanticRoute has both weight and condition".
    """

    signals: tuple[str, ...] = Field(min_length=1, max_length=len(SIGNALS))
    stickiness: Literal["request", "conversation"] = "request"
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

    @field_validator("targets")
    @classmethod
    def _one_target_is_primary(cls, targets: tuple[Target, ...]) -> tuple[Target, ...]:
        if not any(target.role == "primary" for target in targets):
            raise ValueError("at least one target must be primary: canaries fall back to it")
        return targets

    @model_validator(mode="after")
    def _conditions_use_listed_signals(self) -> Self:
        for index, target in enumerate(self.targets):
            for name, column in target.condition.columns if target.condition else ():
                known = name_type(name)
                if known is not None and known.is_listed and name not in self.signals:
                    raise ConditionError(
                        target.condition.text if target.condition else "",
                        column,
                        f"signal {name!r} is not listed in spec.signals",
                        path=f"spec.targets[{index}].condition",
                    )
        return self

    @cached_property
    def ranks(self) -> tuple[tuple[Target, ...], ...]:
        """The targets that can be chosen, by priority, highest first, else in the file's order."""
        drawn = [target for target in self.targets if target.share > 0]
        drawn.sort(key=lambda target: -target.priority)
        return tuple(tuple(rank) for _, rank in groupby(drawn, key=lambda target: target.priority))

    @cached_property
    def default(self) -> Target:
        """What takes a request for which no condition holds, and no target is unconditional.

        The last primary target listed; one of weight 0 is passed over as long as another is left.
        """
        primaries = [target for target in self.targets if target.role == "primary"]
        idle = [target for target in primaries if target.condition is None]
        weighted = [target for target in primaries if target.share > 0]
        return (weighted or idle or primaries)[-1]

    @cached_property
    def shadows(self) -> tuple[Target, ...]:
        return tuple(target for target in self.targets if target.role == "shadow")

    @cached_property
    def names_used(self) -> tuple[str, ...]:
        """Every name that a condition of this route uses, each once, in the file's order."""
        return tuple(
            dict.fromkeys(
                name
                for target in self.targets
                for name, _ in (target.condition.columns if target.condition else ())
            )
        )

    @cached_property
    def metadata_keys(self) -> tuple[str, ...]:
        """The keys of the request's metadata that conditions of this route name."""
        return tuple(
            name.removeprefix(METADATA) for name in self.names_used if name.startswith(METADATA)
        )


class SemanticRoute(StrictValue):
    api_version: Literal["ai.gateway/v1"]
    kind: Literal["SemanticRoute"]
    metadata: Metadata
    spec: Spec

    @property
    def name(self) -> str:
        return self.metadata.name
