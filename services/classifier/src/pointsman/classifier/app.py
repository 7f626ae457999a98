"""The classifier's composition root: settings in, a service that can run out."""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from functools import partial

import structlog

from pointsman.classifier.adapters import (
    Heads,
    MiniLm,
    Remembered,
    WatchedRoute,
    open_prototypes,
    read_heads,
)
from pointsman.classifier.domain.reading import Known
from pointsman.classifier.handler import Deps, classify
from pointsman.classifier.settings import Settings
from pointsman.embedding import open_encoder
from pointsman.routes.registry import ModelRegistry, load_registry
from pointsman.runtime.bus import Bus
from pointsman.runtime.service import Service

log = structlog.get_logger()


def build(settings: Settings) -> Service[Deps]:
    """Return the classifier; its model is loaded when its resources are entered.

    Raises: InvalidRegistry, InvalidRoute, InvalidScorerFile for files that cannot be used.
    """
    registry = load_registry(settings.registry_path)
    heads = read_heads(settings.heads_dir)
    log.info("heads.read", intents=heads.intents is not None, gain=heads.gain is not None)
    route = WatchedRoute.open(settings.route_path, registry)
    return Service(
        name="classifier",
        settings=settings,
        handle=classify,
        resources=partial(_resources, settings, registry, route, heads),
        problems=_problems,
    )


@asynccontextmanager
async def _resources(
    settings: Settings, registry: ModelRegistry, route: WatchedRoute, heads: Heads, _: Bus
) -> AsyncGenerator[Deps]:
    folder = settings.embedder_dir
    opening = open_encoder(
        folder, cached_vectors=settings.cached_vectors, threads=settings.encoder_threads
    )
    async with opening as encoder:
        embedder = MiniLm(encoder)
        known = Known(
            prototypes=await open_prototypes(encoder, settings.state_dir),
            intents=heads.intents and Remembered(heads.intents.read, settings.cached_vectors),
            gain=heads.gain and Remembered(heads.gain.predict, settings.cached_vectors),
        )
        async with asyncio.TaskGroup() as group:
            polling = group.create_task(route.poll(settings.route_poll_interval))
            try:
                yield Deps(embedder=embedder, known=known, route=route, registry=registry)
            finally:
                polling.cancel()


def _problems(deps: Deps) -> Mapping[str, str]:
    found = {"embedder": deps.embedder.problem, "route": deps.route.problem}
    return {name: problem for name, problem in found.items() if problem}
