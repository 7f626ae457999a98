"""Puts toolrag together."""

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import structlog

from pointsman.runtime.bus import Bus
from pointsman.runtime.service import Service
from pointsman.toolrag.adapters.embedding import MiniLmEmbedder
from pointsman.toolrag.adapters.files import ensure, is_current, load
from pointsman.toolrag.domain import Embedder, ToolIndex
from pointsman.toolrag.handler import Deps, retrieve_tools
from pointsman.toolrag.settings import Settings

log = structlog.get_logger()


def build(settings: Settings) -> Service[Deps]:
    @asynccontextmanager
    async def resources(_bus: Bus) -> AsyncGenerator[Deps]:
        with MiniLmEmbedder(settings.embedder_dir) as embedder:
            index = await asyncio.to_thread(_index, settings, embedder)
            yield Deps(
                index=index,
                embedder=embedder,
                min_k=settings.min_k,
                max_k=settings.max_k,
            )

    return Service(name="toolrag", settings=settings, handle=retrieve_tools, resources=resources)


def _index(settings: Settings, embedder: Embedder) -> ToolIndex:
    folder = settings.catalogue_dir
    started = time.perf_counter()
    if not is_current(folder):
        log.info("catalogue.building", folder=str(folder))
    built = ensure(folder, embedder)
    index = ToolIndex(load(folder))
    log.info(
        "catalogue.loaded",
        folder=str(folder),
        built=built,
        tools=len(index.catalogue.tools),
        tokens=index.tokens,
        duration_s=round(time.perf_counter() - started, 3),
    )
    return index
