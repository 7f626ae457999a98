"""The simulated models' server: OpenAI-compatible over ASGI, at a declared pace, with faults.

Owns HTTP, pace and cancellation. What is said is decided in ``completion``. Every response says
``x-simulated: true``; the answers themselves do not.
"""

import asyncio
import json
import time
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import Message as AsgiMessage
from starlette.types import Receive, Scope, Send

from pointsman.contracts.chat import ChatRequest
from pointsman.loadgen import openai_wire
from pointsman.loadgen.completion import Turn, take_turn
from pointsman.loadgen.faults import RETRY_AFTER_S, SLOWNESS, Desk, Fault
from pointsman.loadgen.profiles import PROFILES, Profile

HEADERS = {"x-simulated": "true"}
SHORTEST_WAIT_S = 0.03
"""Pieces due within this time leave together: a timer per token would cost more than the tokens."""


class FaultOrder(BaseModel):
    """The body of ``POST /control/faults``. ``count`` 0 clears the model's plan."""

    model_config = ConfigDict(extra="forbid")

    model: str = "*"
    mode: Fault
    count: int = Field(default=1, ge=0, le=100_000)


@dataclass(frozen=True, kw_only=True)
class Models:
    """What the server serves: profiles by name, the pace and the desk that counts."""

    profiles: Mapping[str, Profile]
    speed: float
    seed: int
    desk: Desk = field(default_factory=Desk)


def build(
    *, profiles: Mapping[str, Profile] = PROFILES, speed: float = 1.0, seed: int = 0
) -> Starlette:
    """Return the ASGI application. ``speed`` divides every wait; token counts stay the same."""
    models = Models(profiles=profiles, speed=speed, seed=seed)

    async def list_models(_: Request) -> Response:
        data = [
            {"id": name, "object": "model", "created": 0, "owned_by": "pointsman-loadgen"}
            for name in profiles
        ]
        return JSONResponse({"object": "list", "data": data}, headers=HEADERS)

    async def show_profiles(_: Request) -> Response:
        declared = [profile.as_json() for profile in profiles.values()]
        return JSONResponse({"speed": speed, "seed": seed, "profiles": declared}, headers=HEADERS)

    async def show_stats(_: Request) -> Response:
        return JSONResponse(models.desk.as_json(), headers=HEADERS)

    async def order_faults(request: Request) -> Response:
        try:
            order = FaultOrder.model_validate_json(await request.body())
        except ValidationError as error:
            return _refusal(400, str(error.errors()[0]["msg"]))
        models.desk.plan(order.model, order.mode, order.count)
        return JSONResponse(models.desk.as_json(), headers=HEADERS)

    async def reset(_: Request) -> Response:
        models.desk.reset()
        return JSONResponse(models.desk.as_json(), headers=HEADERS)

    return Starlette(
        routes=[
            Route("/v1/models", list_models),
            Route("/v1/chat/completions", ChatCompletions(models), methods=["POST"]),
            Route("/profiles", show_profiles),
            Route("/control/stats", show_stats),
            Route("/control/faults", order_faults, methods=["POST"]),
            Route("/control/reset", reset, methods=["POST"]),
        ]
    )


class ChatCompletions:
    """``POST /v1/chat/completions`` as bare ASGI: it must notice a client that leaves."""

    def __init__(self, models: Models) -> None:
        self._models = models

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        http = Request(scope, receive)
        body = await http.body()
        try:
            request = ChatRequest.model_validate_json(body)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"])
            await _refusal(400, f"{where}: {first['msg']}")(scope, receive, send)
            return
        profile = self._models.profiles.get(request.model)
        if profile is None:
            refusal = _refusal(404, f"The model {request.model!r} does not exist.")
            await refusal(scope, receive, send)
            return
        try:
            fault = self._fault(http, profile)
        except ValueError:
            await _refusal(400, "x-fault: unknown fault")(scope, receive, send)
            return
        figures = self._models.desk.of(profile.model)
        figures.begin()
        if fault is not None:
            figures.count_fault(fault)
        reply = _Reply(self._models, profile, request, fault, scope, receive, send)
        try:
            is_whole = await _unless_client_leaves(receive, reply.play())
            figures.completed += is_whole
            figures.cancelled += not is_whole
        finally:
            figures.active -= 1

    def _fault(self, http: Request, profile: Profile) -> Fault | None:
        ordered = http.headers.get("x-fault")
        return Fault(ordered) if ordered else self._models.desk.take(profile.model)


@dataclass(frozen=True)
class _Reply:
    """One answer on its way out, at its pace, with its fault."""

    models: Models
    profile: Profile
    request: ChatRequest
    fault: Fault | None
    scope: Scope
    receive: Receive
    send: Send

    async def play(self) -> None:
        match self.fault:
            case Fault.RATE_LIMITED:
                body = openai_wire.error(
                    "Rate limit reached.", kind="rate_limit_error", code="rate_limit_exceeded"
                )
                headers = HEADERS | {"retry-after": str(RETRY_AFTER_S)}
                await self._respond(JSONResponse(body, status_code=429, headers=headers))
            case Fault.SERVER_ERROR:
                body = openai_wire.error("The server had an error.", kind="server_error")
                await self._respond(JSONResponse(body, status_code=500, headers=HEADERS))
            case Fault.HANG:
                await asyncio.Event().wait()
            case _:
                turn = take_turn(self.request, self.profile, seed=self.models.seed)
                await (self._stream(turn) if self.request.stream else self._whole(turn))

    async def _whole(self, turn: Turn) -> None:
        await self._wait_until(time.monotonic() + self._due_s(turn.output_tokens))
        body = openai_wire.response(turn, model=self.profile.model, created=int(time.time()))
        data = json.dumps(body).encode()
        if self.fault is Fault.WRONG_JSON:
            data = data[: len(data) // 2]
        headers = HEADERS | {"content-type": "application/json"}
        if self.fault is Fault.CUT_STREAM:
            await self._start(headers | {"content-length": str(len(data))})
            await self._piece(data[: len(data) // 2])
            return
        await self._respond(Response(data, headers=headers))

    async def _stream(self, turn: Turn) -> None:
        begun = time.monotonic()
        include_usage = bool(
            self.request.stream_options and self.request.stream_options.include_usage
        )
        await self._start(HEADERS | {"content-type": "text/event-stream"})
        stream = list(
            openai_wire.chunks(
                turn,
                model=self.profile.model,
                created=int(time.time()),
                include_usage=include_usage,
            )
        )
        waiting = b""
        for index, (spoken, chunk) in enumerate(stream):
            if self.fault in {Fault.CUT_STREAM, Fault.WRONG_JSON} and index > len(stream) // 2:
                break
            due = begun + self._due_s(turn.reasoning_tokens + spoken)
            if due - time.monotonic() > SHORTEST_WAIT_S:
                waiting = await self._flush(waiting)
                await self._wait_until(due)
            waiting += openai_wire.event(chunk)
        if self.fault is Fault.WRONG_JSON:
            waiting += b'data: {"id": "chatcmpl-", "choices": [{"delta": \n\n'
        if self.fault is Fault.CUT_STREAM:
            await self._flush(waiting)
            return
        await self._flush(waiting + openai_wire.DONE)
        await self.send({"type": "http.response.body", "body": b"", "more_body": False})

    def _due_s(self, tokens: int) -> float:
        """Seconds from the start until ``tokens`` have been produced, as declared."""
        slowness = SLOWNESS if self.fault is Fault.SLOW else 1
        declared = self.profile.time_to_first_token_s + self.profile.duration_s(tokens)
        return slowness * declared / self.models.speed

    async def _wait_until(self, due: float) -> None:
        left = due - time.monotonic()
        await asyncio.sleep(max(left, 0))

    async def _flush(self, waiting: bytes) -> bytes:
        if waiting:
            await self._piece(waiting)
        return b""

    async def _piece(self, data: bytes) -> None:
        await self.send({"type": "http.response.body", "body": data, "more_body": True})

    async def _start(self, headers: Mapping[str, str]) -> None:
        raw = [(name.encode(), value.encode()) for name, value in headers.items()]
        await self.send({"type": "http.response.start", "status": 200, "headers": raw})

    async def _respond(self, response: Response) -> None:
        await response(self.scope, self.receive, self.send)


async def _unless_client_leaves(receive: Receive, work: Coroutine[Any, Any, None]) -> bool:
    """Run ``work`` to its end and return True, or cancel it when the client leaves: False."""
    working = asyncio.create_task(work)
    leaving = asyncio.create_task(_client_leaves(receive))
    try:
        await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            working.result()
            return True
        return False
    finally:
        for task in (working, leaving):
            task.cancel()
        await asyncio.gather(working, leaving, return_exceptions=True)


async def _client_leaves(receive: Receive) -> None:
    message: AsgiMessage = {"type": ""}
    while message["type"] != "http.disconnect":
        message = await receive()


def _refusal(status: int, message: str) -> JSONResponse:
    body = openai_wire.error(message, kind="invalid_request_error")
    return JSONResponse(body, status_code=status, headers=HEADERS)
