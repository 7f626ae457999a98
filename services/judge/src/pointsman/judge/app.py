"""The judge, put together."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from pointsman.judge.adapters import RulesScorer
from pointsman.judge.handler import Deps, judge
from pointsman.judge.settings import Settings
from pointsman.runtime.bus import Bus
from pointsman.runtime.service import Service


def build(settings: Settings) -> Service[Deps]:
    """Return the service; it holds nothing open."""

    @asynccontextmanager
    async def resources(_bus: Bus) -> AsyncGenerator[Deps]:
        yield Deps(scorer=RulesScorer())

    return Service(name="judge", settings=settings, handle=judge, resources=resources)
