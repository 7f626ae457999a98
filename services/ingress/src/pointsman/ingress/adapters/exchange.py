"""One HTTP exchange in ASGI's words: a body read within limits, a client watched, a reply sent.

Starlette's Request and Response do the same for everything but chat completions, at several times
the cost.
"""

import asyncio
from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import timedelta

import orjson
from opentelemetry import propagate, trace
from starlette.types import Receive, Scope, Send

from pointsman.contracts import telemetry
from pointsman.contracts.errors import ErrorCode
from pointsman.contracts.parts import RequestContext
from pointsman.ingress.adapters.openai_format import Json
from pointsman.ingress.domain import Refused

tracer = trace.get_tracer("pointsman.ingress")


@dataclass(frozen=True, kw_only=True, slots=True)
class Reply:
    """A whole answer, ready to be sent."""

    body: Json
    headers: dict[str, str]
    status: int = 200

    async def send(self, send: Send) -> None:
        body = orjson.dumps(self.body)
        size = str(len(body))
        headers = self.headers | {"content-type": "application/json", "content-length": size}
        await start(send, headers, status=self.status)
        await send({"type": "http.response.body", "body": body})


async def start(send: Send, headers: dict[str, str], *, status: int = 200) -> None:
    """Send the status and the headers, whose names are in lower case."""
    raw = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": status, "headers": raw})


async def send_part(send: Send, events: Iterable[bytes], *, is_last: bool = False) -> None:
    """Send a part of a stream's body."""
    body = b"".join(events)
    await send({"type": "http.response.body", "body": body, "more_body": not is_last})


def header(scope: Scope, name: bytes) -> str | None:
    """Return the first header of this lower-case name."""
    for key, value in scope["headers"]:
        if key == name:
            return value.decode("latin-1")
    return None


async def read_body(
    scope: Scope, receive: Receive, *, max_bytes: int, patience: timedelta
) -> bytearray:
    """Return the body.

    Raises: Refused if it is larger than ``max_bytes``, takes longer than ``patience``, or its
    client goes away before its end.
    """
    declared = header(scope, b"content-length") or "0"
    if declared.isdigit() and int(declared) > max_bytes:
        raise _too_large(max_bytes)
    body = bytearray()
    try:
        async with asyncio.timeout(patience.total_seconds()):
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise Refused(ErrorCode.CANCELLED)
                body += message.get("body", b"")
                if len(body) > max_bytes:
                    raise _too_large(max_bytes)
                if not message.get("more_body", False):
                    return body
    except TimeoutError:
        raise Refused(ErrorCode.REQUEST_TIMEOUT) from None


def _too_large(max_bytes: int) -> Refused:
    return Refused(ErrorCode.REQUEST_TOO_LARGE, f"at most {max_bytes} bytes")


async def expire_when_gone(receive: Receive, waiting: asyncio.Timeout) -> None:
    """Let ``waiting``, which is entered by then, expire when the client disconnects.

    The body must have been read.
    """
    while (await receive())["type"] != "http.disconnect":
        pass
    if not waiting.expired():
        waiting.reschedule(0)


def server_span(scope: Scope, context: RequestContext) -> AbstractContextManager[object]:
    """A span that continues the caller's trace; every stage of the request continues this one."""
    is_continued = header(scope, b"traceparent") is not None
    if not is_continued and isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider):
        return nullcontext()
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
    return tracer.start_as_current_span(
        f"{scope['method']} {scope['path']}",
        context=propagate.extract(headers),
        kind=trace.SpanKind.SERVER,
        attributes={
            telemetry.REQUEST_ID: context.request_id,
            telemetry.NAMESPACE: context.namespace,
        },
    )
