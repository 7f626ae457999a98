"""The judge, put together."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

from pointsman.contracts.messages import Judge
from pointsman.judge.adapters import CheapLayers, load_heads
from pointsman.judge.adapters.critic import open_critic
from pointsman.judge.adapters.critic_calls import CriticBounds
from pointsman.judge.domain import Critic
from pointsman.judge.handler import Deps, judge
from pointsman.judge.settings import Settings, critic_keys
from pointsman.routes.registry import load_registry
from pointsman.runtime.bus import Bus
from pointsman.runtime.service import Service


def build(settings: Settings) -> Service[Deps]:
    """Return the service. Connections to critics are opened with the first review.

    Raises: InvalidScorerFile for heads that are absent or another version's; InvalidRegistry for
    an unusable registry file.
    """
    heads = load_heads(settings.heads_dir)

    @asynccontextmanager
    async def resources(_bus: Bus) -> AsyncGenerator[Deps]:
        async with _critic(settings) as critic:
            yield Deps(scorer=CheapLayers(heads), critic=critic)

    return Service(
        name="judge",
        settings=settings,
        handle=judge,
        resources=resources,
        is_memoized=_may_ask_a_critic,
    )


def _may_ask_a_critic(command: Judge) -> bool:
    """A critic costs money: what it said is kept. The cheap layers are sooner asked again."""
    evaluator = command.decision.evaluator
    return evaluator is not None and evaluator.critic is not None


@asynccontextmanager
async def _critic(settings: Settings) -> AsyncGenerator[Critic | None]:
    if settings.registry_path is None:
        yield None
        return
    registry = load_registry(settings.registry_path)
    bounds = CriticBounds(max_calls=settings.critic_calls)
    async with open_critic(
        registry, critic_keys(registry), bounds, now=lambda: datetime.now(UTC)
    ) as critic:
        yield critic
