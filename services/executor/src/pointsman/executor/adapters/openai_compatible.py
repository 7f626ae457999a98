"""Calls any backend that speaks the OpenAI chat completions format, over HTTP.

Translates transport, status and format errors into ``ModelFailed``. Chooses no model and knows no
tool. One failed connection is tried again at once, as long as no byte of an answer was seen.
"""

import asyncio
import ssl
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Final

import aiohttp
import certifi
from aiohttp.abc import AbstractStreamWriter
from pydantic import SecretStr
from pydantic_core import to_json
from yarl import URL

from pointsman.contracts.errors import ErrorCode
from pointsman.executor.adapters.answer import Answer
from pointsman.executor.domain.failures import ModelFailed, failure_of_status
from pointsman.executor.domain.ports import ModelCall
from pointsman.executor.domain.reading import Chunk
from pointsman.routes.registry import Model

TRIES: Final = 2
IDLE_S: Final = 4.0
"""How long an unused connection is trusted; model servers close theirs after 5 s (uvicorn)."""

DRAIN_S: Final = 0.2
"""How long the end of a body that nobody needs is awaited, so that its connection can be reused."""

HEADERS: Final = {
    "Accept": "text/event-stream, application/json",
    "Accept-Encoding": "identity",  # compressed, a small body could grow past its bound
    "User-Agent": "pointsman-executor",
}


@dataclass(frozen=True, kw_only=True)
class Bounds:
    """What bounds connections and responses."""

    connect_timeout_s: float = 3.0
    first_token_timeout_s: float = 60.0
    max_connections: int = 256
    max_response_bytes: int = 2 * 1024 * 1024
    max_line_bytes: int = 256 * 1024


@dataclass(frozen=True, kw_only=True)
class _Backend:
    """Where a model is served, and the headers that only it is sent: the key, if it has one."""

    model: Model
    url: URL
    headers: Mapping[str, str] = field(repr=False)


class _Body(aiohttp.BytesPayload):
    """A request's body; ``is_sent`` once the backend may have seen some of it."""

    is_sent = False

    async def write_with_length(
        self, writer: AbstractStreamWriter, content_length: int | None
    ) -> None:
        self.is_sent = True
        await super().write_with_length(writer, content_length)


@asynccontextmanager
async def open_models(
    bounds: Bounds, keys: Mapping[str, SecretStr], *, authorities: Path | None = None
) -> AsyncGenerator["OpenAICompatible"]:
    """Open the connection pool to all backends; ``keys`` are by model id.

    ``authorities`` is the file of those that a backend's certificate may be signed by; without it,
    the public ones.
    """
    tls = await asyncio.to_thread(_trusting, authorities or Path(certifi.where()))
    connector = aiohttp.TCPConnector(
        limit=bounds.max_connections, keepalive_timeout=IDLE_S, ssl=tls
    )
    # trust_env=False: a proxy or a .netrc of the machine is not part of this service's settings.
    async with aiohttp.ClientSession(
        connector=connector,
        headers=HEADERS,
        timeout=aiohttp.ClientTimeout(total=None, connect=bounds.connect_timeout_s),
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        trust_env=False,
    ) as session:
        models = OpenAICompatible(session, bounds, keys)
        try:
            yield models
        finally:
            models.close()


class OpenAICompatible:
    """Implements ``ModelClient``."""

    def __init__(
        self, session: aiohttp.ClientSession, bounds: Bounds, keys: Mapping[str, SecretStr]
    ) -> None:
        self._session = session
        self._bounds = bounds
        self._keys = keys
        self._backends: dict[str, _Backend] = {}
        self._ending: set[aiohttp.ClientResponse] = set()

    def close(self) -> None:
        """Give up the connections of answers whose body has not ended yet."""
        for response in self._ending:
            response.close()

    async def chat(self, call: ModelCall, take: Callable[[Sequence[Chunk]], None]) -> None:
        """See ``ModelClient.chat``."""
        loop = asyncio.get_running_loop()
        now = loop.time()
        ends_at = now + call.timeout_s
        backend = self._backend(call.model)
        body = _Body(to_json(call.body), content_type="application/json")
        try:
            async with asyncio.timeout_at(
                min(ends_at, now + self._bounds.first_token_timeout_s)
            ) as patience:
                response = await self._send(backend, body)
                has_come = False
                try:
                    answer = self._answer(response, take)
                    while not answer.is_over:
                        if answer.has_token and patience.when() != ends_at:
                            patience.reschedule(ends_at)
                        part = await response.content.readany()
                        if part:
                            answer.feed(part)
                        else:
                            answer.finish()
                    has_come = True
                finally:
                    if not has_come:
                        response.close()
        except TimeoutError as error:
            reason = "no answer in time" if body.is_sent else "no connection in time"
            raise ModelFailed(
                ErrorCode.UPSTREAM_TIMEOUT, reason, was_processed=body.is_sent
            ) from error
        except aiohttp.ClientError as error:
            raise ModelFailed(ErrorCode.UPSTREAM_ERROR, "the answer was cut") from error
        if not response.closed:  # aiohttp closes it, and keeps the connection, at its body's end
            self._ending.add(response)
            loop.call_later(DRAIN_S, self._end, response)

    def _end(self, response: aiohttp.ClientResponse) -> None:
        response.close()
        self._ending.discard(response)

    async def _send(self, backend: _Backend, body: _Body) -> aiohttp.ClientResponse:
        """Return the response as soon as its head is there."""
        for _ in range(TRIES):
            body.is_sent = False
            try:
                return await self._session.post(
                    backend.url, data=body, headers=backend.headers, allow_redirects=False
                )
            except aiohttp.ServerTimeoutError:
                raise
            except aiohttp.ServerDisconnectedError as error:
                if not isinstance(error.message, str):  # the head, as far as it came
                    raise
            except aiohttp.ClientConnectionError:
                pass
            except aiohttp.ClientResponseError as error:
                raise ModelFailed(ErrorCode.UPSTREAM_ERROR, "the answer is no HTTP") from error
        raise ModelFailed(ErrorCode.UPSTREAM_ERROR, "no connection", was_processed=False)

    def _answer(
        self, response: aiohttp.ClientResponse, take: Callable[[Sequence[Chunk]], None]
    ) -> Answer:
        if response.status != HTTPStatus.OK:
            raise failure_of_status(response.status)
        if response.headers.get("Content-Encoding", "identity").lower() != "identity":
            raise ModelFailed(ErrorCode.UPSTREAM_ERROR, "compressed answer")
        return Answer(
            response.content_type,
            take,
            max_bytes=self._bounds.max_response_bytes,
            max_event_bytes=self._bounds.max_line_bytes,
        )

    def _backend(self, model: Model) -> _Backend:
        known = self._backends.get(model.id)
        if known is None or known.model is not model:
            known = self._backends[model.id] = _backend(model, self._keys.get(model.id))
        return known


def _backend(model: Model, key: SecretStr | None) -> _Backend:
    """Return where a model is served.

    Raises: ModelFailed for a key that no header can hold.
    """
    headers: dict[str, str] = {}
    if key is not None:
        secret = key.get_secret_value()
        if not (secret.isascii() and secret.isprintable()):
            raise ModelFailed(ErrorCode.UPSTREAM_ERROR, "unusable key", was_processed=False)
        headers["Authorization"] = f"Bearer {secret}"
    path = (model.base_url.path or "").rstrip("/")
    url = URL(str(model.base_url)).origin().with_path(f"{path}/chat/completions", encoded=True)
    return _Backend(model=model, url=url, headers=headers)


def _trusting(authorities: Path) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=authorities)
    context.set_alpn_protocols(["http/1.1"])
    return context
