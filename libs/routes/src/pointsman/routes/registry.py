"""The model registry: which models exist, where they are served, what they cost and can do.

Owns the file's schema, aliases and price arithmetic. Calls no model and reads no environment: a key
is named here (``api_key_env``) and looked up where the call is made.
Source: the registry schema of the seed documents (id, provider, capabilities, context_window,
token_cost, regions, compliance, fallbacks), plus where a model is served.
"""

from collections import Counter
from collections.abc import Mapping
from decimal import Decimal
from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, HttpUrl, ValidationError, model_validator

from pointsman.contracts.parts import Usage

Name = Annotated[
    str, Field(min_length=1, max_length=128, pattern=r"^[A-Za-z0-9][A-Za-z0-9._:/-]*$")
]


LatencyClass = Literal["fast", "standard", "slow"]


class InvalidRegistry(ValueError):
    """The registry file cannot be used. ``path`` is the file, ``reason`` says what and where."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.path = path
        self.reason = reason


class UnknownModel(LookupError):
    """No model or alias of this name is registered."""

    def __init__(self, name: str) -> None:
        super().__init__(f"model {name!r} is not in the registry")
        self.name = name


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class TokenCost(_Strict):
    """Price in USD per token."""

    input: Decimal = Field(ge=0)
    output: Decimal = Field(ge=0)


class Model(_Strict):
    """One served model.

    ``served_name`` is what the backend calls it, ``id`` unless given. ``api_key_env`` names the
    environment variable that holds the key; none is sent without it. ``timeout_s`` bounds one call.
    ``is_simulated`` is declared in every output that shows the model's answers. ``latency_class``
    and ``typical_output_tokens`` are the operator's own words for speed and length of answers:
    constraints compare the one, estimates of cost count the other.
    """

    id: Name
    provider: Name
    base_url: HttpUrl
    aliases: tuple[Name, ...] = ()
    served_name: str | None = None
    api_key_env: str | None = Field(default=None, pattern=r"^[A-Z][A-Z0-9_]*$")
    capabilities: tuple[Name, ...] = ("chat",)
    context_window: int = Field(gt=0)
    token_cost: TokenCost
    regions: tuple[Name, ...] = ()
    compliance: tuple[Name, ...] = ()
    fallbacks: tuple[Name, ...] = ()
    timeout_s: float = Field(default=60.0, gt=0, le=300)
    is_simulated: bool = False
    latency_class: LatencyClass = "standard"
    typical_output_tokens: int = Field(default=400, ge=1, le=1_000_000)

    @cached_property
    def abilities(self) -> frozenset[str]:
        return frozenset(self.capabilities)

    @property
    def backend_name(self) -> str:
        return self.served_name or self.id

    def cost_usd(self, *, input_tokens: int, output_tokens: int) -> Decimal:
        """Return tokens times price, in USD, unrounded."""
        return self.token_cost.input * input_tokens + self.token_cost.output * output_tokens

    def estimate_usd(self, context_tokens: int) -> Decimal:
        """Return what one attempt may cost: the prompt as estimated, an answer of usual length."""
        return self.cost_usd(input_tokens=context_tokens, output_tokens=self.typical_output_tokens)

    def usage(
        self,
        *,
        input_tokens: int,
        output_tokens: int,
        model_calls: int = 1,
        estimated: bool = False,
    ) -> Usage:
        """Return the usage line of ``model_calls`` requests to this model."""
        return Usage(
            model=self.id,
            input_tokens=input_tokens,
            output_tokens=output_tokens,
            cost_usd=self.cost_usd(input_tokens=input_tokens, output_tokens=output_tokens),
            model_calls=model_calls,
            estimated=estimated,
        )


class ModelRegistry(_Strict):
    models: tuple[Model, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _names_are_unique_and_known(self) -> Self:
        names = Counter(name for model in self.models for name in (model.id, *model.aliases))
        doubled = sorted(name for name, count in names.items() if count > 1)
        if doubled:
            raise ValueError(f"used by more than one model: {', '.join(doubled)}")
        for model in self.models:
            for fallback in model.fallbacks:
                if fallback not in names:
                    raise ValueError(f"model {model.id!r} names unknown fallback {fallback!r}")
        return self

    def resolve(self, name: str) -> Model:
        """Return the model with this id or alias.

        Raises: UnknownModel.
        """
        model = self._by_name.get(name)
        if model is None:
            raise UnknownModel(name)
        return model

    def stronger_than(self, model: Model) -> tuple[Model, ...]:
        """Return the models dearer than this one that can do at least the same, cheapest first.

        Price stands for strength until a route says otherwise: it is what an operator pays for.
        """
        return self._stronger[model.id]

    @cached_property
    def abilities(self) -> frozenset[str]:
        """Everything that any model can do."""
        return frozenset(able for model in self.models for able in model.capabilities)

    @cached_property
    def _by_name(self) -> Mapping[str, Model]:
        return {name: model for model in self.models for name in (model.id, *model.aliases)}

    @cached_property
    def _stronger(self) -> Mapping[str, tuple[Model, ...]]:
        by_price = sorted(self.models, key=lambda model: model.token_cost.output)
        return {
            model.id: tuple(
                other
                for other in by_price
                if other.token_cost.output > model.token_cost.output
                and set(model.capabilities) <= set(other.capabilities)
            )
            for model in self.models
        }


def load_registry(path: Path) -> ModelRegistry:
    """Read and validate a registry file (YAML).

    Raises: InvalidRegistry, with the offending field's path.
    """
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError, ValueError, RecursionError) as error:
        raise InvalidRegistry(path, str(error)) from error
    try:
        return ModelRegistry.model_validate(data)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "registry"
        raise InvalidRegistry(path, f"{where}: {first['msg']}") from error
