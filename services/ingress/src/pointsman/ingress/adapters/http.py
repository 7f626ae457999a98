"""The HTTP API: chat completions, models, and health.

Owns reading requests within limits, waiting for the answer, restoring masked values on the way out,
and cancelling what nobody waits for any more. Shapes are in ``openai_format``.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Coroutine, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import structlog
from cryptography.fernet import Fernet
from opentelemetry import propagate, trace
from prometheus_client import Gauge
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from pointsman.contracts import telemetry
from pointsman.contracts.chat import Answer, ChatRequest
from pointsman.contracts.errors import ERRORS, ErrorCode, Retryable
from pointsman.contracts.identity import new_request_id
from pointsman.contracts.messages import Accept, Blocked, Completed, Delta, Failed, Frame
from pointsman.contracts.parts import RequestContext
from pointsman.ingress.adapters import openai_format as fmt
from pointsman.ingress.adapters.bounded_stream import BoundedStream
from pointsman.ingress.adapters.error_handlers import ERROR_HANDLERS
from pointsman.ingress.adapters.stream_writer import StreamWriter, ending_of, restored_answer
from pointsman.ingress.adapters.waiting import LAST_WAIT, frames_of
from pointsman.ingress.domain import (
    AUTO,
    Limits,
    Refused,
    admit,
    context_of,
    namespace_of,
    parse_request,
)
from pointsman.ingress.handler import Deps, accept
from pointsman.ingress.settings import Settings
from pointsman.routes.registry import ModelRegistry
from pointsman.runtime import Bus
from pointsman.runtime.health import health_routes
from pointsman.runtime.placeholders import (
    InvalidSeal,
    unseal,
)
from pointsman.runtime.service import Problems

log = structlog.get_logger()
tracer = trace.get_tracer("pointsman.ingress")

CANCEL_TIMEOUT_S = 2.0

IN_FLIGHT = Gauge("pointsman_requests_in_flight", "Requests whose clients wait for an answer.")
"""What ingress scales on: it has no queue of its own."""


@dataclass(frozen=True, kw_only=True)
class Pending:
    """A request that was accepted and whose client waits."""

    context: RequestContext
    vault_key: str
    request: ChatRequest
    queue: "asyncio.Queue[Frame]"


class Api:
    """The routes and what they need."""

    def __init__(
        self, *, settings: Settings, registry: ModelRegistry, bus: Bus, deps: Deps
    ) -> None:
        self._settings = settings
        self._registry = registry
        self._bus = bus
        self._deps = deps
        self._in_flight = 0
        self._is_stopping = False
        self._detached: set[asyncio.Task[None]] = set()
        self._keys = {name: key.get_secret_value() for name, key in settings.api_keys.items()}
        self._models = frozenset(
            name for model in registry.models for name in (model.id, *model.aliases)
        )
        self._limits = Limits(
            max_messages=settings.max_messages,
            max_queue_depth=settings.max_queue_depth,
            max_in_flight=settings.max_in_flight,
            retry_after=settings.retry_after,
        )

    def app(self, problems: Problems) -> Starlette:
        """Return the ASGI application."""
        return Starlette(
            routes=[
                Route("/v1/chat/completions", self.chat_completions, methods=["POST"]),
                Route("/v1/models", self.models),
                Route("/v1/models/{model:path}", self.model),
                *health_routes(problems),
            ],
            exception_handlers=ERROR_HANDLERS,
        )

    async def models(self, request: Request) -> Response:
        namespace_of(request.headers.get("authorization"), self._keys)
        return JSONResponse(fmt.model_list(self._registry, AUTO))

    async def model(self, request: Request) -> Response:
        namespace_of(request.headers.get("authorization"), self._keys)
        wanted = request.path_params["model"]
        for entry in fmt.model_list(self._registry, AUTO)["data"]:
            if entry["id"] == wanted:
                return JSONResponse(entry)
        raise Refused(ErrorCode.MODEL_NOT_FOUND, param="model")

    async def chat_completions(self, request: Request) -> Response:
        request_id = new_request_id()
        try:
            return await self._chat(request, request_id)
        except Refused as refused:
            refused.request_id = request_id
            log.info(
                "request.refused", request_id=request_id, code=refused.code, param=refused.param
            )
            raise

    async def _chat(self, request: Request, request_id: str) -> Response:
        namespace = namespace_of(request.headers.get("authorization"), self._keys)
        admit(self._bus.backlog(), in_flight=self._in_flight, limits=self._limits)
        self._opened(1)
        is_handed_over = False
        try:
            body = await self._read(request)
            chat = parse_request(body, models=self._models, limits=self._limits)
            context = context_of(
                request_id=request_id,
                namespace=namespace,
                ingress=self._bus.instance,
                now=datetime.now(UTC),
                deadline=self._settings.deadline,
                stream=chat.stream,
            )
            answering = self._answering(request, context, chat)
            first = await anext(answering)
            if isinstance(first, StreamStart):
                is_handed_over = True
                return BoundedStream(
                    self._counted(answering),
                    headers=first.headers,
                    media_type="text/event-stream",
                    ends_at=context.deadline + LAST_WAIT,
                )
            await answering.aclose()
            return first  # pyright: ignore[reportReturnType] - a stream's chunks follow only its start
        finally:
            if not is_handed_over:
                self._opened(-1)

    async def _counted(
        self, answering: "AsyncGenerator[StreamStart | Response | bytes]"
    ) -> AsyncGenerator[bytes]:
        """Yield a stream's chunks and count the request as open until it ends."""
        try:
            async for piece in answering:
                if isinstance(piece, bytes):
                    yield piece
        finally:
            await answering.aclose()
            self._opened(-1)

    def _opened(self, more: int) -> None:
        self._in_flight += more
        IN_FLIGHT.set(self._in_flight)

    async def _read(self, request: Request) -> bytes:
        limit = self._settings.max_body_bytes
        declared = request.headers.get("content-length", "0")
        if declared.isdigit() and int(declared) > limit:
            raise Refused(ErrorCode.REQUEST_TOO_LARGE, f"at most {limit} bytes")
        body = bytearray()
        try:
            async with asyncio.timeout(self._settings.body_patience.total_seconds()):
                async for piece in request.stream():
                    body += piece
                    if len(body) > limit:
                        raise Refused(ErrorCode.REQUEST_TOO_LARGE, f"at most {limit} bytes")
        except TimeoutError:
            raise Refused(ErrorCode.REQUEST_TIMEOUT) from None
        return bytes(body)

    async def _answering(
        self, request: Request, context: RequestContext, chat: ChatRequest
    ) -> "AsyncGenerator[StreamStart | Response | bytes]":
        """Accept, wait and answer: one response, or the start of a stream and then its chunks."""
        vault_key = Fernet.generate_key().decode()
        with self._bus.subscribe_frames(context.request_id) as queue:
            command = Accept(context=context, request=chat, vault_key=vault_key)
            try:
                with _server_span(request, context):
                    await accept(command, deps=self._deps)
            except Retryable:
                # It may have been stored all the same; nobody waits for it, so nobody should pay.
                self._detach(self._abandon(context))
                raise Refused(
                    ErrorCode.UNAVAILABLE,
                    retry_after=self._settings.retry_after,
                ) from None
            pending = Pending(context=context, vault_key=vault_key, request=chat, queue=queue)
            gone = asyncio.create_task(_client_gone(request))
            gone.add_done_callback(lambda task: task.cancelled() or self._cancel(context))
            has_ended = False
            try:
                if chat.stream:
                    async for piece in self._stream(pending):
                        has_ended = isinstance(piece, Response)
                        yield piece
                else:
                    response = await self._whole(gone, pending)
                    has_ended = True
                    yield response
                has_ended = True
            finally:
                if not has_ended and not gone.done():
                    self._cancel(context)
                gone.cancel()

    async def _whole(self, gone: "asyncio.Task[None]", pending: Pending) -> Response:
        waiting = asyncio.create_task(self._final(pending))
        try:
            await asyncio.wait({waiting, gone}, return_when=asyncio.FIRST_COMPLETED)
            if not waiting.done():
                return Response(status_code=ERRORS[ErrorCode.CANCELLED].status)
            return await self._response(pending, waiting.result())
        finally:
            waiting.cancel()

    async def _final(self, pending: Pending) -> Frame:
        async for frame in frames_of(pending.context, pending.queue, self._bus):
            if frame is not None and not isinstance(frame, Delta):
                return frame
        raise AssertionError("frames end with a final one")

    async def _response(self, pending: Pending, frame: Frame) -> Response:
        if not isinstance(frame, Completed):
            return self._error(pending, frame)
        answer = await self._restored(pending, frame.answer)
        headers = self._headers(pending) | fmt.frame_headers(frame, self._registry)
        body = fmt.completion(frame, answer, created=int(time.time()))
        return JSONResponse(body, headers=headers)

    def _error(self, pending: Pending, frame: Frame) -> Response:
        code, detail = ending_of(frame)
        headers = self._headers(pending)
        if isinstance(frame, Failed):
            headers |= fmt.frame_headers(frame, self._registry)
        elif isinstance(frame, Blocked):
            headers["x-pointsman-cost-usd"] = "0.0000000000"
        body = fmt.error_body(code, request_id=pending.context.request_id, detail=detail)
        return JSONResponse(body, status_code=ERRORS[code].status, headers=headers)

    async def _stream(self, pending: Pending) -> "AsyncGenerator[StreamStart | Response | bytes]":
        frames = frames_of(pending.context, pending.queue, self._bus)
        first = await self._first_frame(frames)
        if first is not None and not isinstance(first, Delta | Completed):
            yield self._error(pending, first)
            return
        headers = self._headers(pending)
        if first is not None:
            headers |= fmt.frame_headers(first, self._registry)
        yield StreamStart(headers=headers)
        options = pending.request.stream_options
        writer = StreamWriter(
            pending.context.request_id,
            await self._values(pending) if first else None,
            include_usage=options is not None and options.include_usage,
        )
        if first is not None:
            for piece in writer.write(first):
                yield piece
        while not writer.has_ended:
            frame = await anext(frames)
            if frame is None:
                yield fmt.KEEP_ALIVE
                continue
            if writer.values is None:
                writer.values = await self._values(pending)
            for piece in writer.write(frame):
                yield piece

    async def _first_frame(self, frames: AsyncGenerator[Frame | None]) -> Frame | None:
        """Return the first frame, or None when headers should wait no longer."""
        give_up = time.monotonic() + self._settings.header_patience.total_seconds()
        async for frame in frames:
            if frame is not None or time.monotonic() > give_up:
                return frame
        return None

    async def _values(self, pending: Pending) -> dict[str, str]:
        """Return the values behind this request's placeholders."""
        try:
            sealed = await self._bus.get_vault(pending.context)
            return {} if sealed is None else unseal(pending.vault_key, sealed)
        except (Retryable, InvalidSeal) as error:
            # The answer is still an answer; its placeholders stay in it.
            log.warning(
                "vault.unreadable",
                request_id=pending.context.request_id,
                error=type(error).__name__,
            )
            return {}

    async def _restored(self, pending: Pending, answer: Answer) -> Answer:
        values = await self._values(pending)
        return restored_answer(answer, values)

    def _headers(self, pending: Pending) -> dict[str, str]:
        return {"x-request-id": pending.context.request_id}

    def stop(self) -> None:
        """Clients are about to be disconnected by us: what they asked for goes on without them."""
        self._is_stopping = True

    def _cancel(self, context: RequestContext) -> None:
        """Tell whoever works on it that the client went away, whoever cancels this task."""
        if self._is_stopping:
            return
        log.info("request.cancelled", request_id=context.request_id)
        self._detach(self._send_cancel(context))

    def _detach(self, work: Coroutine[Any, Any, None]) -> None:
        """Run ``work`` to its end, whatever becomes of the request's own task."""
        task = asyncio.create_task(work)
        self._detached.add(task)
        task.add_done_callback(self._detached.discard)

    async def _abandon(self, context: RequestContext) -> None:
        while datetime.now(UTC) < context.deadline:
            try:
                await self._bus.abandon(context)
            except Retryable:
                await asyncio.sleep(CANCEL_TIMEOUT_S)
            else:
                return

    async def _send_cancel(self, context: RequestContext) -> None:
        try:
            async with asyncio.timeout(CANCEL_TIMEOUT_S):
                await self._bus.cancel(context.request_id)
        except (Retryable, TimeoutError):
            log.warning("cancel.unsent", request_id=context.request_id)


@dataclass(frozen=True, kw_only=True)
class StreamStart:
    """A stream begins, with these headers."""

    headers: dict[str, str]


@contextmanager
def _server_span(request: Request, context: RequestContext) -> Generator[None]:
    """A span that continues the caller's trace; every stage of the request continues this one."""
    with tracer.start_as_current_span(
        f"{request.method} {request.url.path}",
        context=propagate.extract(dict(request.headers)),
        kind=trace.SpanKind.SERVER,
        attributes={
            telemetry.REQUEST_ID: context.request_id,
            telemetry.NAMESPACE: context.namespace,
        },
    ):
        yield


async def _client_gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
