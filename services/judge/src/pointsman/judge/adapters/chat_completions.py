"""One request to a backend that speaks the OpenAI chat completions format, answered as a whole.

Owns HTTP and the shape of a response; translates what goes wrong into ``CallFailed``. Chooses no
model and reads no answer. Importing it loads aiohttp.
"""

import asyncio
import ssl
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Annotated, Final

import aiohttp
import certifi
from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError
from pydantic_core import to_json
from yarl import URL

from pointsman.contracts.chat import JsonObject
from pointsman.contracts.errors import ErrorCode
from pointsman.routes.registry import Model

TRIES: Final = 2
"""A kept connection may have been closed by the other side; then, and only then, a second one."""

IDLE_S: Final = 4.0
"""How long an unused connection is trusted; model servers close theirs after 5 s (uvicorn)."""

HEADERS: Final = {
    "Accept": "application/json",
    "Accept-Encoding": "identity",  # compressed, a small body could grow past its bound
    "Content-Type": "application/json",
    "User-Agent": "pointsman-judge",
}


class CallFailed(Exception):
    """A call gave no whole answer; ``reason`` holds no text of the backend.

    ``was_processed`` says that the backend may have worked, and charged, before it failed.
    """

    def __init__(self, code: ErrorCode, reason: str, *, was_processed: bool) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason
        self.was_processed = was_processed


class _Shape(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)


class _Message(_Shape):
    content: str | None = None


class _Choice(_Shape):
    message: _Message
    finish_reason: str | None = None


class TokenCount(_Shape):
    prompt_tokens: int = Field(ge=0)
    completion_tokens: int = Field(default=0, ge=0)


class Completion(_Shape):
    """A response, as far as it is needed."""

    model: str | None = None
    choices: Annotated[tuple[_Choice, ...], Field(min_length=1, max_length=1)]
    usage: TokenCount | None = None

    @property
    def text(self) -> str:
        return self.choices[0].message.content or ""

    @property
    def finish_reason(self) -> str | None:
        return self.choices[0].finish_reason


@dataclass(frozen=True, kw_only=True)
class Bounds:
    """What bounds connections and responses."""

    connect_timeout_s: float = 3.0
    max_connections: int = 16
    max_response_bytes: int = 256 * 1024


@asynccontextmanager
async def open_chat(
    bounds: Bounds, keys: Mapping[str, SecretStr], *, authorities: Path | None = None
) -> AsyncGenerator["ChatCompletions"]:
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
        yield ChatCompletions(session, bounds, keys)


class ChatCompletions:
    """Calls models of the registry, each with its own key."""

    def __init__(
        self, session: aiohttp.ClientSession, bounds: Bounds, keys: Mapping[str, SecretStr]
    ) -> None:
        self._session = session
        self._bounds = bounds
        self._keys = keys

    async def chat(self, model: Model, body: JsonObject, *, timeout_s: float) -> Completion:
        """Send one request; ``timeout_s`` bounds it from connecting to the last byte.

        Cancelling it closes the connection, so that the backend stops working.
        Raises: CallFailed.
        """
        url, headers = _address(model), self._authorization(model)
        sent = to_json(body)
        try:
            async with asyncio.timeout(timeout_s):
                for left in reversed(range(TRIES)):
                    try:
                        return await self._exchange(url, headers, sent)
                    except (aiohttp.ServerDisconnectedError, aiohttp.ClientConnectorError) as error:
                        if not left:
                            was_sent = isinstance(error, aiohttp.ServerDisconnectedError)
                            raise _failed("no connection", was_processed=was_sent) from error
        except aiohttp.ServerTimeoutError as error:
            raise CallFailed(
                ErrorCode.UPSTREAM_TIMEOUT, "no connection in time", was_processed=False
            ) from error
        except TimeoutError as error:
            raise CallFailed(
                ErrorCode.UPSTREAM_TIMEOUT, "no answer in time", was_processed=True
            ) from error
        except aiohttp.ClientError as error:
            raise _failed("the answer was cut", was_processed=True) from error
        raise AssertionError  # each try returns or raises

    async def _exchange(self, url: URL, headers: Mapping[str, str], body: bytes) -> Completion:
        async with self._session.post(
            url, data=body, headers=headers, allow_redirects=False
        ) as response:
            if response.status != HTTPStatus.OK:
                raise _failure_of(response.status)
            if response.headers.get("Content-Encoding", "identity").lower() != "identity":
                raise _failed("compressed answer")
            whole = await self._whole(response)
        try:
            return Completion.model_validate_json(whole)
        except ValidationError as error:
            # Not told further: where it is wrong could be words of the answer.
            raise _failed("the answer has a wrong shape") from error

    async def _whole(self, response: aiohttp.ClientResponse) -> bytes:
        parts: list[bytes] = []
        left = self._bounds.max_response_bytes
        async for part in response.content.iter_any():
            left -= len(part)
            if left < 0:
                raise _failed("the answer is too long")
            parts.append(part)
        return b"".join(parts)

    def _authorization(self, model: Model) -> dict[str, str]:
        """The header with the model's key.

        Raises: CallFailed for a key that is not there or that no header can hold.
        """
        if model.api_key_env is None:
            return {}
        key = self._keys.get(model.id)
        secret = "" if key is None else key.get_secret_value()
        if not secret:
            raise _failed("no key for this model", was_processed=False)
        if not (secret.isascii() and secret.isprintable()):
            raise _failed("unusable key", was_processed=False)
        return {"Authorization": f"Bearer {secret}"}


def _failed(reason: str, *, was_processed: bool = True) -> CallFailed:
    return CallFailed(ErrorCode.UPSTREAM_ERROR, reason, was_processed=was_processed)


def _failure_of(status: int) -> CallFailed:
    match status:
        case HTTPStatus.TOO_MANY_REQUESTS:
            code = ErrorCode.UPSTREAM_RATE_LIMITED
        case HTTPStatus.REQUEST_TIMEOUT | HTTPStatus.GATEWAY_TIMEOUT:
            code = ErrorCode.UPSTREAM_TIMEOUT
        case _:
            code = ErrorCode.UPSTREAM_ERROR
    return CallFailed(code, f"status {status}", was_processed=False)


def _address(model: Model) -> URL:
    path = (model.base_url.path or "").rstrip("/")
    return URL(str(model.base_url)).origin().with_path(f"{path}/chat/completions", encoded=True)


def _trusting(authorities: Path) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=authorities)
    context.set_alpn_protocols(["http/1.1"])
    return context
