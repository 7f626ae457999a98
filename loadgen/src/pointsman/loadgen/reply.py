"""One answer on its way out: at its declared pace, with its fault, until its client leaves.

Owns pace, faults and cancellation. What is said is a ``Turn``; who says it is in ``simulated``.
"""

import asyncio
import json
import time
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from starlette.responses import JSONResponse, Response
from starlette.types import Message as AsgiMessage
from starlette.types import Receive, Scope, Send

from pointsman.loadgen import openai_wire
from pointsman.loadgen.completion import Turn
from pointsman.loadgen.faults import RETRY_AFTER_S, SLOWNESS, Fault, ModelFigures

HEADERS = {"x-simulated": "true"}
REPLAYED = {"x-replayed": "true"}
SHORTEST_WAIT_S = 0.03
"""Pieces due within this time leave together: a timer per token would cost more than the tokens."""

MOST_WAITING_BYTES = 8192
"""Pieces leave before they are this many bytes, so that a client that has read enough can stop a
long answer, however fast it is played."""


class Pace(Protocol):
    """What a served model declares of its speed."""

    @property
    def model(self) -> str: ...

    @property
    def time_to_first_token_s(self) -> float: ...

    def duration_s(self, tokens: int) -> float: ...


@dataclass(frozen=True, kw_only=True)
class Reply:
    """``turn`` as ``pace`` says it; ``speed`` divides every wait."""

    turn: Turn
    pace: Pace
    speed: float
    is_streamed: bool
    include_usage: bool
    fault: Fault | None
    figures: ModelFigures
    scope: Scope
    receive: Receive
    send: Send

    async def played(self) -> bool:
        """Send everything and return True, or stop when the client leaves: False."""
        return await _unless_client_leaves(self.receive, self._play())

    @property
    def _headers(self) -> dict[str, str]:
        return HEADERS | REPLAYED if self.turn.is_replayed else HEADERS

    async def _play(self) -> None:
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
                await (self._stream() if self.is_streamed else self._whole())

    async def _whole(self) -> None:
        await _wait_until(time.monotonic() + self._due_s(self.turn.output_tokens))
        body = openai_wire.response(self.turn, model=self.pace.model, created=int(time.time()))
        data = json.dumps(body).encode()
        if self.fault is Fault.WRONG_JSON:
            data = data[: len(data) // 2]
        headers = self._headers | {"content-type": "application/json"}
        if self.fault is Fault.CUT_STREAM:
            await self._start(headers | {"content-length": str(len(data))})
            await self.send_piece(data[: len(data) // 2])
            return
        await self._respond(Response(data, headers=headers))
        self.figures.tokens_sent += self.turn.output_tokens - self.turn.reasoning_tokens

    async def _stream(self) -> None:
        begun = time.monotonic()
        await self._start(self._headers | {"content-type": "text/event-stream"})
        stream = list(
            openai_wire.chunks(
                self.turn,
                model=self.pace.model,
                created=int(time.time()),
                include_usage=self.include_usage,
            )
        )
        if self.fault in {Fault.CUT_STREAM, Fault.WRONG_JSON}:
            del stream[len(stream) // 2 + 1 :]
        outbox = _Outbox(self)
        for spoken, chunk in stream:
            due = begun + self._due_s(self.turn.reasoning_tokens + spoken)
            if due - time.monotonic() > SHORTEST_WAIT_S or outbox.is_full:
                await outbox.flush()
                await _wait_until(due)
            outbox.add(openai_wire.event(chunk), spoken)
        if self.fault is Fault.WRONG_JSON:
            outbox.add(b'data: {"id": "chatcmpl-", "choices": [{"delta": \n\n')
        if self.fault is Fault.CUT_STREAM:
            await outbox.flush()
            return
        outbox.add(openai_wire.DONE)
        await outbox.flush()
        await self.send({"type": "http.response.body", "body": b"", "more_body": False})

    def _due_s(self, tokens: int) -> float:
        """Seconds from the start until ``tokens`` have been produced, as declared."""
        slowness = SLOWNESS if self.fault is Fault.SLOW else 1
        declared = self.pace.time_to_first_token_s + self.pace.duration_s(tokens)
        return slowness * declared / self.speed

    async def send_piece(self, data: bytes) -> None:
        await self.send({"type": "http.response.body", "body": data, "more_body": True})

    async def _start(self, headers: Mapping[str, str]) -> None:
        raw = [(name.encode(), value.encode()) for name, value in headers.items()]
        await self.send({"type": "http.response.start", "status": 200, "headers": raw})

    async def _respond(self, response: Response) -> None:
        await response(self.scope, self.receive, self.send)


class _Outbox:
    """Pieces that leave together, and the count of the tokens that have left."""

    def __init__(self, reply: Reply) -> None:
        self._reply = reply
        self._waiting = bytearray()
        self._spoken = 0
        self._counted = 0

    @property
    def is_full(self) -> bool:
        return len(self._waiting) > MOST_WAITING_BYTES

    def add(self, data: bytes, spoken: int | None = None) -> None:
        """Take a piece; ``spoken`` is how many visible tokens the answer has with it."""
        self._waiting += data
        self._spoken = self._spoken if spoken is None else spoken

    async def flush(self) -> None:
        if self._waiting:
            await self._reply.send_piece(bytes(self._waiting))
        self._waiting.clear()
        self._reply.figures.tokens_sent += self._spoken - self._counted
        self._counted = self._spoken


async def _wait_until(due: float) -> None:
    await asyncio.sleep(max(due - time.monotonic(), 0))


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
