"""Sends scenarios to an ingress as any OpenAI client would, and keeps what came back.

Owns the sending; judges nothing. A request that fails on the way is a result with ``error`` set.
"""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import httpx

from pointsman.contracts.chat import JsonObject
from pointsman.loadgen.scenarios import Scenario

CONCURRENCY = 8
TIMEOUT_S = 120.0
_KEPT_HEADERS = ("x-request-id", "x-simulated", "retry-after")


@dataclass(frozen=True, kw_only=True)
class ClientResult:
    """One request as its client saw it. ``status`` is 0 and ``error`` set when none came."""

    scenario: Scenario
    status: int
    latency_s: float
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    body: JsonObject = field(default_factory=dict[str, Any])
    error: str | None = None

    @property
    def request_id(self) -> str | None:
        return self.headers.get("x-request-id")

    @property
    def text(self) -> str:
        """The answer's words; empty for an error."""
        choices = cast("list[JsonObject]", self.body.get("choices") or [])
        if not choices:
            return ""
        message = cast("JsonObject", choices[0].get("message") or {})
        return str(message.get("content") or "")


async def send(
    client: httpx.AsyncClient, scenario: Scenario, *, model: str = "auto"
) -> ClientResult:
    """Send one scenario and return what came back."""
    body = {"model": model, "messages": [{"role": "user", "content": scenario.prompt}]}
    begun = time.perf_counter()
    try:
        response = await client.post("/v1/chat/completions", json=body)
    except httpx.HTTPError as error:
        return ClientResult(
            scenario=scenario,
            status=0,
            latency_s=time.perf_counter() - begun,
            error=type(error).__name__,
        )
    return ClientResult(
        scenario=scenario,
        status=response.status_code,
        latency_s=time.perf_counter() - begun,
        headers=_kept(response.headers),
        body=_parsed(response),
    )


async def send_all(
    client: httpx.AsyncClient,
    scenarios: Sequence[Scenario],
    *,
    concurrency: int = CONCURRENCY,
    on_result: Callable[[ClientResult], None] | None = None,
) -> tuple[ClientResult, ...]:
    """Send every scenario, at most ``concurrency`` at once; results in the scenarios' order."""
    gate = asyncio.Semaphore(concurrency)

    async def one(scenario: Scenario) -> ClientResult:
        async with gate:
            result = await send(client, scenario)
        if on_result is not None:
            on_result(result)
        return result

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(one(scenario)) for scenario in scenarios]
    return tuple(task.result() for task in tasks)


def ingress_client(base_url: str, *, api_key: str | None = None) -> httpx.AsyncClient:
    """Return a client of the ingress at ``base_url``, apart from any proxy of the environment."""
    headers = {"authorization": f"Bearer {api_key}"} if api_key else {}
    return httpx.AsyncClient(base_url=base_url, headers=headers, timeout=TIMEOUT_S, trust_env=False)


def _kept(headers: httpx.Headers) -> dict[str, str]:
    return {
        name: value
        for name, value in headers.items()
        if name in _KEPT_HEADERS or name.startswith("x-pointsman-")
    }


def _parsed(response: httpx.Response) -> JsonObject:
    try:
        body: Any = response.json()
    except ValueError:
        return {}
    return cast("JsonObject", body) if isinstance(body, dict) else {}
