"""A real model server on loopback whose replies a test writes, one for each request."""

import asyncio
import json
import socket
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import uvicorn

Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
Reply = Callable[["Backend", Receive, Send], Awaitable[None]]

USAGE = {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120}


class Backend:
    """The server's application. ``asked`` are the bodies of the requests, in order."""

    def __init__(self) -> None:
        self.url = ""
        self.asked: list[dict[str, Any]] = []
        self.keys: list[str | None] = []
        self.ports: list[int] = []
        self.reached = asyncio.Event()
        self.client_left = asyncio.Event()
        self.go_on = asyncio.Event()
        self._replies: list[Reply] = []

    def will(self, *replies: Reply) -> None:
        self._replies = list(replies)

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        self.asked.append(json.loads(body))
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        self.keys.append(headers.get("authorization"))
        self.ports.append(scope["client"][1])
        assert scope["path"] == "/v1/chat/completions"
        self.reached.set()
        await self._replies.pop(0)(self, receive, send)


@asynccontextmanager
async def running_backend() -> AsyncGenerator[Backend]:
    """Start the server on a free port; stop it at the end."""
    backend = Backend()
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    backend.url = f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
    config = uvicorn.Config(
        backend,  # pyright: ignore[reportArgumentType] - plain dicts stand for ASGI's typed ones
        log_level="critical",
        lifespan="off",
        ws="none",
        timeout_graceful_shutdown=1,
    )
    config.load()
    server = uvicorn.Server(config)
    server.lifespan = config.lifespan_class(config)
    await server.startup(sockets=[listener])
    try:
        yield backend
    finally:
        await server.shutdown(sockets=[listener])


def words(text: str, **fields: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": None}]} | fields


def call_piece(index: int | None, *, arguments: str, **fields: Any) -> dict[str, Any]:
    function: dict[str, Any] = {"arguments": arguments}
    if "name" in fields:
        function["name"] = fields.pop("name")
    piece = {"function": function, **fields} | ({} if index is None else {"index": index})
    return {"choices": [{"index": 0, "delta": {"tool_calls": [piece]}, "finish_reason": None}]}


def end(reason: str = "stop") -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": {}, "finish_reason": reason}]}


def usage(**counts: int) -> dict[str, Any]:
    return {"choices": [], "usage": USAGE | counts}


def event(chunk: dict[str, Any] | str) -> bytes:
    data = chunk if isinstance(chunk, str) else json.dumps(chunk)
    return f"data: {data}\n\n".encode()


async def _start(send: Send, *, status: int = 200, content_type: str = "text/event-stream") -> None:
    headers = [(b"content-type", content_type.encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})


async def _body(send: Send, body: bytes, *, more: bool = True) -> None:
    await send({"type": "http.response.body", "body": body, "more_body": more})


def streams(*chunks: dict[str, Any] | str, done: bool = True) -> Reply:
    """Answer with these chunks, each written by itself."""

    async def reply(backend: Backend, receive: Receive, send: Send) -> None:
        await _start(send, content_type="text/event-stream; charset=utf-8")
        for chunk in chunks:
            await _body(send, event(chunk))
        await _body(send, event("[DONE]") if done else b"", more=False)

    return reply


def says(text: str, **counts: int) -> Reply:
    return streams(words(text), end(), usage(**counts))


def calls(name: str, arguments: str = "{}", *, text: str = "", call_id: str = "c1") -> Reply:
    head = (words(text),) if text else ()
    piece = call_piece(0, name=name, id=call_id, arguments=arguments)
    return streams(*head, piece, end("tool_calls"), usage())


def answers(body: bytes, *, status: int = 200, content_type: str = "application/json") -> Reply:
    """Answer with one whole body."""

    async def reply(backend: Backend, receive: Receive, send: Send) -> None:
        await _start(send, status=status, content_type=content_type)
        await _body(send, body, more=False)

    return reply


def fails(status: int) -> Reply:
    return answers(b'{"error": {"message": "secret words of the backend"}}', status=status)


def writes(raw: bytes) -> Reply:
    """Answer with these bytes as an event stream."""
    return answers(raw, content_type="text/event-stream")


def breaks_off(*chunks: dict[str, Any]) -> Reply:
    """Write these chunks, then close the connection in the middle of the body."""

    async def reply(backend: Backend, receive: Receive, send: Send) -> None:
        await _start(send)
        for chunk in chunks:
            await _body(send, event(chunk))
        raise ConnectionAbortedError

    return reply


def pauses(*chunks: dict[str, Any], then: tuple[dict[str, Any], ...] = ()) -> Reply:
    """Write these chunks, wait for ``go_on``, then write the rest."""

    async def reply(backend: Backend, receive: Receive, send: Send) -> None:
        await _start(send)
        for chunk in chunks:
            await _body(send, event(chunk))
        await backend.go_on.wait()
        for chunk in then:
            await _body(send, event(chunk))
        await _body(send, event("[DONE]"), more=False)

    return reply


def lingers(*chunks: dict[str, Any]) -> Reply:
    """Write a whole answer, and leave the connection open behind it."""

    async def reply(backend: Backend, receive: Receive, send: Send) -> None:
        await _start(send)
        for chunk in (*chunks, "[DONE]"):
            await _body(send, event(chunk))
        while (await receive())["type"] != "http.disconnect":
            pass
        backend.client_left.set()

    return reply


def hangs(*chunks: dict[str, Any], headers: bool = True) -> Reply:
    """Write these chunks, then nothing until the client leaves."""

    async def reply(backend: Backend, receive: Receive, send: Send) -> None:
        if headers:
            await _start(send)
        for chunk in chunks:
            await _body(send, event(chunk))
        while (await receive())["type"] != "http.disconnect":
            pass
        backend.client_left.set()

    return reply
