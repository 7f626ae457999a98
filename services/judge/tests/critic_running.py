"""A critic over a model at a given address, with a clock that stands still."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from pydantic import HttpUrl, SecretStr

from pointsman.contracts.messages import Judge
from pointsman.contracts.parts import Usage
from pointsman.judge.adapters.critic import ModelCritic, open_critic
from pointsman.judge.adapters.critic_calls import CriticBounds
from pointsman.judge.domain.rubric import CriticFailed
from pointsman.routes.registry import Model, ModelRegistry, TokenCost

PATIENCE_S = 5.0
NOW = datetime(2026, 5, 4, tzinfo=UTC)
CRITIC = "critic"

QUESTION = "What is a zebrafish pod?"
ANSWERED = "A group of zebrafish."
GOOD: dict[str, Any] = {
    "accuracy": {"reason": "The marmoset is wrong.", "score": 2},
    "completeness": {"reason": "Complete.", "score": 3},
    "relevance": {"reason": "To the point.", "score": 2},
    "clarity": {"reason": "Clear.", "score": 2},
    "is_fulfilled": True,
}


def a_critic_model(base_url: str, **fields: Any) -> Model:
    return Model(
        id=CRITIC,
        aliases=("reviewer",),
        provider="test",
        base_url=HttpUrl(base_url),
        served_name=fields.pop("served_name", "served"),
        context_window=fields.pop("context_window", 32_000),
        token_cost=TokenCost(input=Decimal("0.000001"), output=Decimal("0.00001")),
        **fields,
    )


@asynccontextmanager
async def a_critic(
    base_url: str,
    bounds: CriticBounds | None = None,
    *,
    keys: dict[str, SecretStr] | None = None,
    authorities: Path | None = None,
    **model: Any,
) -> AsyncGenerator[ModelCritic]:
    registry = ModelRegistry(models=(a_critic_model(base_url, **model),))
    async with open_critic(
        registry, keys or {}, bounds, now=lambda: NOW, authorities=authorities
    ) as critic:
        yield critic


def within(command: Judge, seconds: float) -> Judge:
    """The command with a deadline that many seconds from now."""
    context = command.context.model_copy(update={"deadline": NOW + timedelta(seconds=seconds)})
    return command.model_copy(update={"context": context})


async def failure(
    url: str, made: Judge, bounds: CriticBounds | None = None, **model: Any
) -> CriticFailed:
    """How the review of this command fails; it must."""
    async with a_critic(url, bounds, **model) as critic, asyncio.timeout(PATIENCE_S):
        with pytest.raises(CriticFailed) as failed:
            await critic.review(made, model=CRITIC)
    return failed.value


def paid(failed: CriticFailed) -> Usage:
    """What a failed review cost."""
    assert failed.usage is not None
    return failed.usage
