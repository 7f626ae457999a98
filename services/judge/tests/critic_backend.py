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
Reply = Callable[[dict[str, Any], Receive, Send], Awaitable[None]]

USAGE = {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120}


class Backend:
    """The server's application. ``asked`` are the bodies of the requests, in order."""

    def __init__(self) -> None:
        self.url = ""
        self.asked: list[dict[str, Any]] = []
        self.keys: list[str | None] = []
        self.ports: set[int] = set()
        self.running = 0
        self.most_running = 0
        self.client_left = asyncio.Event()
        self._replies: list[Reply] = []

    def will(self, *replies: Reply) -> None:
        """Answer with these, in order; the last one again and again."""
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
        self.ports.add(scope["client"][1])
        assert scope["path"] == "/v1/chat/completions"
        reply = self._replies.pop(0) if len(self._replies) > 1 else self._replies[0]
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        try:
            await reply(self.asked[-1], receive, send)
        finally:
            self.running -= 1
            if reply is hangs:
                self.client_left.set()


@asynccontextmanager
async def serving(app: Any) -> AsyncGenerator[str]:
    """Serve an ASGI application on a free port; stop it at the end."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    config = uvicorn.Config(
        app, log_level="critical", lifespan="off", ws="none", timeout_graceful_shutdown=1
    )
    config.load()
    server = uvicorn.Server(config)
    server.lifespan = config.lifespan_class(config)
    await server.startup(sockets=[listener])
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
    finally:
        await server.shutdown(sockets=[listener])


@asynccontextmanager
async def running_backend() -> AsyncGenerator[Backend]:
    backend = Backend()
    async with serving(backend) as url:
        backend.url = url
        yield backend


async def _send(send: Send, body: bytes, *, status: int, headers: dict[str, str]) -> None:
    head = [(name.encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": status, "headers": head})
    await send({"type": "http.response.body", "body": body, "more_body": False})


def answers(body: bytes, *, status: int = 200, **headers: str) -> Reply:
    """Answer with one whole body; underscores in a header's name stand for hyphens."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}

    async def reply(asked: dict[str, Any], receive: Receive, send: Send) -> None:
        await _send(
            send, body, status=status, headers={"content-type": "application/json", **named}
        )

    return reply


def completion(text: str | None, **fields: Any) -> bytes:
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": text},
        "finish_reason": "stop",
    }
    return json.dumps({"model": "served-v2", "choices": [choice], "usage": USAGE} | fields).encode()


def says(text: str | None, **fields: Any) -> Reply:
    return answers(completion(text, **fields))


def chooses(choose: Callable[[str], str]) -> Reply:
    """Answer with what ``choose`` makes of the user's message."""

    async def reply(asked: dict[str, Any], receive: Receive, send: Send) -> None:
        body = completion(choose(asked["messages"][1]["content"]))
        await _send(send, body, status=200, headers={"content-type": "application/json"})

    return reply


def fails(status: int) -> Reply:
    return answers(b'{"error": {"message": "secret words of the backend"}}', status=status)


async def hangs(asked: dict[str, Any], receive: Receive, send: Send) -> None:
    """Say nothing until the client leaves."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def breaks_off(asked: dict[str, Any], receive: Receive, send: Send) -> None:
    """Close the connection in the middle of the body."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b'{"choices": [', "more_body": True})
    raise ConnectionAbortedError
