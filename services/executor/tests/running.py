"""Runs the handler over a real model server, with the other ports scripted."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from pydantic import SecretStr

from pointsman.contracts.messages import Execute, Executed
from pointsman.executor.adapters.json_schema import JsonSchemaCheck
from pointsman.executor.adapters.openai_compatible import Bounds, open_models
from pointsman.executor.attempt import Tooling
from pointsman.executor.domain.ports import Limits
from pointsman.executor.handler import Deps, execute
from pointsman.routes.registry import ModelRegistry

from .doubles import (
    FAST,
    NOW,
    RecordingClient,
    ScriptedTools,
    a_model,
)

PATIENCE_S = 5.0
CHECK = JsonSchemaCheck()


@asynccontextmanager
async def opened(
    url: str,
    *,
    client: RecordingClient | None = None,
    tools: ScriptedTools | None = None,
    limits: Limits = FAST,
    bounds: Bounds | None = None,
    **model: Any,
) -> AsyncGenerator[Deps]:
    keys = {"small": SecretStr("k1")}
    async with open_models(bounds or Bounds(), keys) as models:
        yield Deps(
            registry=ModelRegistry(models=(a_model(url, **model),)),
            tooling=Tooling(
                model=models,
                tools=tools or ScriptedTools(),
                check=CHECK,
                limits=limits,
                now=lambda: NOW,
            ),
            client=client or RecordingClient(),
            delivery=lambda: 2,
        )


async def run(url: str, command: Execute, **fields: Any) -> Executed:
    async with opened(url, **fields) as deps, asyncio.timeout(PATIENCE_S):
        return await execute(command, deps=deps)
