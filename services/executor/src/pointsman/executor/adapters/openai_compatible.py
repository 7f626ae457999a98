"""Calls any backend that speaks the OpenAI chat completions format, over HTTP.

Translates transport, status and format errors into ``ModelFailed``. Chooses no model and knows no
tool. One failed connection is tried again at once, as long as no byte of an answer was seen.
"""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

import httpx
from pydantic import SecretStr, ValidationError

from pointsman.contracts.errors import ErrorCode
from pointsman.executor.adapters.sse import EventReader, MalformedStream
from pointsman.executor.domain.failures import ModelFailed, failure_of_status
from pointsman.executor.domain.ports import ModelCall
from pointsman.executor.domain.reading import Chunk

TRIES: Final = 2
DONE: Final = b"[DONE]"
DRAIN_S: Final = 0.2
"""How long the body's end is awaited after the last event, so that the connection can be reused."""


@dataclass(frozen=True, kw_only=True)
class Bounds:
    """What bounds connections and responses."""

    connect_timeout_s: float = 3.0
    first_token_timeout_s: float = 60.0
    max_connections: int = 256
    max_idle_connections: int = 64
    max_response_bytes: int = 2 * 1024 * 1024
    max_line_bytes: int = 256 * 1024


@asynccontextmanager
async def open_models(
    bounds: Bounds, keys: Mapping[str, SecretStr]
) -> AsyncGenerator["OpenAICompatible"]:
    """Open the connection pool to all backends; ``keys`` are by model id."""
    limits = httpx.Limits(
        max_connections=bounds.max_connections,
        max_keepalive_connections=bounds.max_idle_connections,
    )
    # trust_env=False: a proxy or a .netrc of the machine is not part of this service's settings.
    async with httpx.AsyncClient(limits=limits, timeout=None, trust_env=False) as client:
        yield OpenAICompatible(client, bounds, keys)


class OpenAICompatible:
    """Implements ``ModelClient``."""

    def __init__(
        self, client: httpx.AsyncClient, bounds: Bounds, keys: Mapping[str, SecretStr]
    ) -> None:
        self._client = client
        self._bounds = bounds
        self._keys = keys

    async def chat(self, call: ModelCall, take: Callable[[Chunk], None]) -> None:
        """See ``ModelClient.chat``."""
        now = asyncio.get_running_loop().time()
        ends_at = now + call.timeout_s
        try:
            async with asyncio.timeout_at(
                min(ends_at, now + self._bounds.first_token_timeout_s)
            ) as scope:

                def arrived(chunk: Chunk) -> None:
                    if scope.when() != ends_at and chunk.has_token:
                        scope.reschedule(ends_at)
                    take(chunk)

                await self._send(call, arrived)
        except (httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            raise ModelFailed(
                ErrorCode.UPSTREAM_TIMEOUT, "no connection in time", was_processed=False
            ) from error
        except (TimeoutError, httpx.TimeoutException) as error:
            raise ModelFailed(ErrorCode.UPSTREAM_TIMEOUT, "no answer in time") from error

    async def _send(self, call: ModelCall, take: Callable[[Chunk], None]) -> None:
        for left in reversed(range(TRIES)):
            has_begun = False
            try:
                async with self._request(call) as response:
                    has_begun = True
                    await self._read(response, take)
            except httpx.TimeoutException:
                raise
            except httpx.RequestError as error:
                if has_begun or not left:
                    reason = "the answer was cut" if has_begun else "no connection"
                    raise ModelFailed(
                        ErrorCode.UPSTREAM_ERROR, reason, was_processed=has_begun
                    ) from error
            else:
                return

    def _request(self, call: ModelCall) -> AbstractAsyncContextManager[httpx.Response]:
        connect_s = min(self._bounds.connect_timeout_s, call.timeout_s)
        return self._client.stream(
            "POST",
            f"{str(call.model.base_url).rstrip('/')}/chat/completions",
            content=json.dumps(call.body).encode(),
            headers=self._headers(call),
            timeout=httpx.Timeout(call.timeout_s, connect=connect_s, pool=connect_s),
        )

    def _headers(self, call: ModelCall) -> dict[str, str]:
        headers = {
            "content-type": "application/json",
            "accept": "text/event-stream, application/json",
            "accept-encoding": "identity",  # compressed, a small body could grow past its bound
            "user-agent": "pointsman-executor",
        }
        key = self._keys.get(call.model.id)
        if key is not None:
            headers["authorization"] = f"Bearer {key.get_secret_value()}"
        return headers

    async def _read(self, response: httpx.Response, take: Callable[[Chunk], None]) -> None:
        if response.status_code != HTTPStatus.OK:
            raise failure_of_status(response.status_code)
        content_type = response.headers.get("content-type", "")
        match content_type.partition(";")[0].strip().lower():
            case "text/event-stream":
                await self._read_events(response, take)
            case "application/json":
                body = b"".join([part async for part in self._bounded(response)])
                take(_parsed(body))
            case _:
                raise ModelFailed(ErrorCode.UPSTREAM_ERROR, "unknown content type")

    async def _read_events(self, response: httpx.Response, take: Callable[[Chunk], None]) -> None:
        reader = EventReader(self._bounds.max_line_bytes)
        parts = self._bounded(response)
        try:
            async for part in parts:
                for data in reader.feed(part):
                    if data.strip() == DONE:
                        await _drain(parts)
                        return
                    take(_parsed(data))
            for data in reader.finish():
                if data.strip() != DONE:
                    take(_parsed(data))
        except MalformedStream as error:
            raise ModelFailed(ErrorCode.UPSTREAM_ERROR, str(error)) from error

    async def _bounded(self, response: httpx.Response) -> AsyncIterator[bytes]:
        size = 0
        async for part in response.aiter_bytes():
            size += len(part)
            if size > self._bounds.max_response_bytes:
                raise ModelFailed(ErrorCode.UPSTREAM_ERROR, "the answer is too long")
            yield part


async def _drain(parts: AsyncIterator[bytes]) -> None:
    with suppress(TimeoutError, httpx.RequestError):
        async with asyncio.timeout(DRAIN_S):
            async for _ in parts:
                pass


def _parsed(data: bytes) -> Chunk:
    try:
        chunk = Chunk.model_validate_json(data)
    except ValidationError:
        # Without its cause: a validation error quotes the text of the answer.
        raise ModelFailed(ErrorCode.UPSTREAM_ERROR, "the answer has a wrong shape") from None
    if chunk.error_status is not None:
        raise failure_of_status(chunk.error_status, was_processed=True)
    return chunk
