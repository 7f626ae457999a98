"""A route edited under load: in force within seconds, and no request fails for it."""

import asyncio
import os
import shutil
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from pointsman.cli.laptop import LaptopOptions, laptop
from pointsman.routes.source import revision_of

CONFIG = Path(__file__).parents[2] / "loadgen" / "config"
IN_FLIGHT = 24
WITHIN_S = 5.0
PATIENCE_S = 60.0

ALL_LARGE = """\
apiVersion: ai.gateway/v1
kind: SemanticRoute
metadata: {name: everything-large}
spec:
  signals: [intent]
  targets:
  - model: reasoning-frontier
"""
BROKEN = ALL_LARGE.replace("reasoning-frontier", "no-such-model")


@dataclass
class Load:
    """Keeps requests open and remembers which route answered them, in order."""

    base_url: str
    statuses: Counter[int] = field(default_factory=Counter[int])
    revisions: list[str] = field(default_factory=list[str])
    is_stopping: bool = False

    async def client(self) -> None:
        async with httpx.AsyncClient(base_url=self.base_url, timeout=PATIENCE_S) as client:
            while not self.is_stopping:
                words = f"What is the capital of country {len(self.revisions)}?"
                body = {"model": "auto", "messages": [{"role": "user", "content": words}]}
                response = await client.post("/v1/chat/completions", json=body)
                self.statuses[response.status_code] += 1
                self.revisions.append(response.headers["x-pointsman-route"].partition("@")[2])

    async def more(self, count: int) -> None:
        wanted = len(self.revisions) + count
        async with asyncio.timeout(PATIENCE_S):
            while len(self.revisions) < wanted:
                await asyncio.sleep(0.01)


@asynccontextmanager
async def under_load(base_url: str) -> AsyncGenerator[Load]:
    load = Load(base_url)
    async with asyncio.TaskGroup() as group:
        for _ in range(IN_FLIGHT):
            group.create_task(load.client())
        try:
            yield load
        finally:
            load.is_stopping = True


async def test_a_route_edit_reaches_every_request_within_seconds_and_fails_none(
    tmp_path: Path,
) -> None:
    route = tmp_path / "route.yaml"
    shutil.copy(CONFIG / "route.yaml", route)
    options = LaptopOptions(
        state_dir=tmp_path / "state",
        registry_path=CONFIG / "models.yaml",
        route_path=route,
        port=0,
        speed=50.0,
        overrides={
            "embedder_dir": Path(os.environ.get("POINTSMAN_EMBEDDER_DIR", ".state/embedder")),
            "catalogue_dir": Path(os.environ.get("TOOLRAG_CATALOGUE_DIR", ".state/catalogue")),
        },
        say=lambda _: None,
    )
    slide = revision_of(route.read_text())
    async with laptop(options) as running, under_load(running.base_url) as load:
        await load.more(50)
        assert set(load.revisions) == {slide}

        _replace(route, ALL_LARGE)
        edited_at = asyncio.get_running_loop().time()
        async with asyncio.timeout(PATIENCE_S):
            while load.revisions[-IN_FLIGHT:] != [revision_of(ALL_LARGE)] * IN_FLIGHT:
                await asyncio.sleep(0.01)
        assert asyncio.get_running_loop().time() - edited_at < WITHIN_S

        _replace(route, BROKEN)
        problem = await _route_problem(running.base_url)
        assert "no-such-model" in problem
        await load.more(50)
        assert load.revisions[-50:] == [revision_of(ALL_LARGE)] * 50, "the last good route stays"
    assert set(load.statuses) == {200}
    assert set(load.revisions) == {slide, revision_of(ALL_LARGE)}


def _replace(route: Path, text: str) -> None:
    """Write as kubelet and editors do: the file is one text or the other, never half."""
    new = route.with_suffix(".new")
    new.write_text(text, encoding="utf-8")
    new.replace(route)


async def _route_problem(base_url: str) -> str:
    """Wait until the classifier says what is wrong with the newest route, and return it."""
    async with asyncio.timeout(PATIENCE_S), httpx.AsyncClient(base_url=base_url) as client:
        while True:
            problems = (await client.get("/readyz")).json()["problems"]
            if "classifier" in problems:
                return str(problems["classifier"]["route"])
            await asyncio.sleep(0.05)
