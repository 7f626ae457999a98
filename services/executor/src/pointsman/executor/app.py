"""The executor's composition root."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

from pointsman.executor.adapters.aws_tools import AwsEndpoint, open_tools
from pointsman.executor.adapters.json_schema import JsonSchemaCheck
from pointsman.executor.adapters.openai_compatible import Bounds, open_models
from pointsman.executor.attempt import Tooling
from pointsman.executor.domain.ports import Limits
from pointsman.executor.handler import Deps, execute
from pointsman.executor.settings import Settings, api_keys
from pointsman.routes.registry import load_registry
from pointsman.runtime.bus import Bus
from pointsman.runtime.delivery import delivery_count
from pointsman.runtime.service import Service, always


def build(settings: Settings) -> Service[Deps]:
    """Return the executor, ready to run.

    Raises: InvalidRegistry for an unusable registry file; MissingKey for a key that the
    environment does not hold.
    """
    registry = load_registry(settings.registry_path)
    keys = api_keys(registry)

    @asynccontextmanager
    async def resources(bus: Bus) -> AsyncGenerator[Deps]:
        async with (
            open_models(_bounds(settings), keys) as model,
            open_tools(_endpoint(settings)) as tools,
        ):
            tooling = Tooling(
                model=model,
                tools=tools,
                check=JsonSchemaCheck(),
                limits=_limits(settings),
                now=lambda: datetime.now(UTC),
                guards_loops=settings.loop_guard,
            )
            yield Deps(registry=registry, tooling=tooling, client=bus, delivery=delivery_count)

    return Service(
        name="executor",
        settings=settings,
        handle=execute,
        resources=resources,
        is_memoized=always,
    )


def _bounds(settings: Settings) -> Bounds:
    return Bounds(
        connect_timeout_s=settings.connect_timeout.total_seconds(),
        first_token_timeout_s=settings.first_token_timeout.total_seconds(),
        max_connections=settings.max_connections,
        max_response_bytes=settings.max_response_bytes,
        max_line_bytes=settings.max_line_bytes,
    )


def _limits(settings: Settings) -> Limits:
    return Limits(
        max_rounds=settings.max_tool_rounds,
        max_calls=settings.max_tool_calls,
        max_output_chars=settings.max_tool_output_chars,
        tool_timeout_s=settings.tool_timeout.total_seconds(),
        tools_timeout_s=settings.tools_timeout.total_seconds(),
    )


def _endpoint(settings: Settings) -> AwsEndpoint | None:
    if settings.tools_endpoint is None:
        return None
    return AwsEndpoint(
        url=str(settings.tools_endpoint),
        region=settings.tools_region,
        timeout_s=settings.tool_timeout.total_seconds(),
        workers=settings.tool_workers,
    )
