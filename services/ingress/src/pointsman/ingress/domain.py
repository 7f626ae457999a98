"""What ingress decides: who is calling, whether a request may come in, what a stream may show.

Pure: no HTTP, no clock of its own, no broker.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from pydantic import ValidationError

from pointsman.contracts.chat import ChatRequest
from pointsman.contracts.errors import ErrorCode
from pointsman.contracts.messages import Accept, Accepted, Delta
from pointsman.contracts.parts import RequestContext

AUTO = "auto"
DEFAULT_NAMESPACE = "default"
MAX_FILL = 0.5
"""What was accepted must still find room for its next steps, so half of every store stays free."""


class Backlog(Protocol):
    """How much waits: commands in the queue, and the fullest store from 0 to 1."""

    @property
    def commands(self) -> int: ...
    @property
    def fill(self) -> float: ...


class Gate(Protocol):
    """Makes an accepted request durable."""

    async def accept(self, command: Accept, fact: Accepted) -> None: ...


class Refused(Exception):
    """A request that does not come in. ``param`` is the offending field's path, if there is one."""

    def __init__(
        self,
        code: ErrorCode,
        detail: str = "",
        *,
        param: str | None = None,
        retry_after: timedelta | None = None,
    ) -> None:
        super().__init__(code)
        self.request_id: str | None = None
        self.code = code
        self.detail = detail
        self.param = param
        self.retry_after = retry_after


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Bounds on what comes in. Sizes in bytes, depths in commands and requests."""

    max_messages: int
    max_queue_depth: int
    max_in_flight: int
    retry_after: timedelta


def namespaces_by_key(keys: Mapping[str, str]) -> dict[bytes, str]:
    """Return namespaces by their API key's digest; of two with one key, the first.

    A look-up by digest takes as long for many keys as for one, and what its time may tell is about
    the digest alone.
    """
    return {_digest(key): namespace for namespace, key in reversed(list(keys.items()))}


def namespace_of(authorization: str | None, namespaces: Mapping[bytes, str]) -> str:
    """Return the namespace whose API key the caller sent.

    Raises: Refused (401) if keys are set and none matches.
    """
    if not namespaces:
        return DEFAULT_NAMESPACE
    scheme, _, sent = (authorization or "").partition(" ")
    if scheme.lower() == "bearer":
        namespace = namespaces.get(_digest(sent.strip()))
        if namespace is not None:
            return namespace
    raise Refused(ErrorCode.INVALID_API_KEY)


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode()).digest()


def parse_request(
    body: bytes | bytearray, *, models: frozenset[str], limits: Limits
) -> ChatRequest:
    """Return the validated request.

    Raises: Refused with the path of the first wrong field, for an unknown model, or for too many
    messages.
    """
    try:
        request = ChatRequest.model_validate_json(body)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False, include_context=False)[0]
        # The names of a union's members are ours, not fields of the client's.
        parts = [str(part) for part in first["loc"]]
        path = ".".join(part for part in parts if part != "str" and "[" not in part)
        raise Refused(ErrorCode.INVALID_REQUEST, first["msg"], param=path or None) from None
    if len(request.messages) > limits.max_messages:
        raise Refused(
            ErrorCode.TOO_MANY_MESSAGES,
            f"{len(request.messages)} messages, at most {limits.max_messages}",
            param="messages",
        )
    if request.model != AUTO and request.model not in models:
        raise Refused(ErrorCode.MODEL_NOT_FOUND, param="model")
    return request


def admit(backlog: Backlog, *, in_flight: int, limits: Limits) -> None:
    """Let a request in, or not.

    Raises: Refused (429) with what to wait when the pipeline is full.
    """
    is_full = backlog.commands >= limits.max_queue_depth or backlog.fill >= MAX_FILL
    if is_full or in_flight >= limits.max_in_flight:
        raise Refused(ErrorCode.QUEUE_FULL, retry_after=limits.retry_after)


def context_of(
    *,
    request_id: str,
    namespace: str,
    ingress: str,
    now: datetime,
    deadline: timedelta,
    stream: bool,
) -> RequestContext:
    return RequestContext(
        request_id=request_id,
        namespace=namespace,
        ingress=ingress,
        accepted_at=now,
        deadline=now + deadline,
        stream=stream,
    )


class ShownText:
    """What a client has already seen of a streamed answer.

    An attempt whose process died is delivered again and starts over: its text is skipped as far as
    it repeats what was shown. Text that differs can not be continued, nor can another model.
    """

    def __init__(self) -> None:
        self._model = ""
        self._parts: list[str] = []
        self._size = 0
        self._run = (0, 0)
        self._seen_in_run = 0
        self._next = 0

    def accept(self, delta: Delta) -> str:
        """Return what of ``delta`` is new to the client.

        Raises: Refused (stream_interrupted) if a piece is missing or contradicts what was shown.
        """
        run = (delta.attempt, delta.delivery)
        if run < self._run:
            return ""
        if run != self._run:
            self._run, self._seen_in_run, self._next = run, 0, 0
        if delta.sequence < self._next:
            return ""
        if delta.sequence > self._next:
            raise Refused(ErrorCode.STREAM_INTERRUPTED)
        self._next += 1
        new = delta.text
        if self._seen_in_run < self._size:
            known = self._text()[self._seen_in_run : self._seen_in_run + len(new)]
            if not new.startswith(known):
                raise Refused(ErrorCode.STREAM_INTERRUPTED)
            new = new[len(known) :]
        self._seen_in_run += len(delta.text)
        self._check(delta.model)
        self._model = delta.model
        self._parts.append(new)
        self._size += len(new)
        return new

    def rest_of(self, answer: str, model: str) -> str:
        """Return what of the final answer the client has not seen.

        Raises: Refused (stream_interrupted) if the answer is not a continuation of it.
        """
        self._check(model)
        if not answer.startswith(self._text()):
            raise Refused(ErrorCode.STREAM_INTERRUPTED)
        return answer[self._size :]

    def _text(self) -> str:
        """Put together what was shown: once for many pieces, not once for each."""
        self._parts = ["".join(self._parts)]
        return self._parts[0]

    def _check(self, model: str) -> None:
        if self._size and model != self._model:
            raise Refused(ErrorCode.STREAM_INTERRUPTED)
