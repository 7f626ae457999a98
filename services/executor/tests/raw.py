"""A server that writes the bytes a test gives it, and calls to it through the adapter."""

import asyncio
import ssl
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager

from pointsman.executor.adapters.openai_compatible import OpenAICompatible
from pointsman.executor.domain.ports import ModelCall
from pointsman.executor.domain.reading import Chunk, Reading

from .backend import end, event, usage, words
from .doubles import a_model, a_request, body_of

TIMEOUT_S = 5.0
ANSWER = event(words("Hi")) + event(end()) + event(usage()) + event("[DONE]")
EVENTS = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n"
FRAMED = b"transfer-encoding: chunked\r\n\r\n%x\r\n%b\r\n" % (len(ANSWER), ANSWER)
WHOLE = EVENTS + FRAMED + b"0\r\n\r\n"


class RawServer:
    """Answers each request with the next of ``responses``; None waits until ``go_on`` is set."""

    def __init__(self, *responses: bytes | None, closes: bool = False) -> None:
        self.port = 0
        self.requests: list[bytes] = []
        self.connections = 0
        self.left = asyncio.Event()
        self.go_on = asyncio.Event()
        self._responses = list(responses)
        self._closes = closes

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                size = int(head.lower().partition(b"content-length: ")[2].split()[0])
                self.requests.append(head + await reader.readexactly(size))
                response = self._responses.pop(0)
                if response is None:
                    await self.go_on.wait()
                    response = WHOLE
                writer.write(response)
                if self._closes:
                    break
        except (asyncio.IncompleteReadError, ConnectionError):
            self.left.set()
        finally:
            writer.close()

    @asynccontextmanager
    async def running(self, tls: ssl.SSLContext | None = None) -> AsyncGenerator[str]:
        server = await asyncio.start_server(self.serve, "127.0.0.1", 0, ssl=tls)
        self.port = server.sockets[0].getsockname()[1]
        async with server:
            yield f"{'http' if tls is None else 'https'}://127.0.0.1:{self.port}/v1"


def a_call(url: str, *, timeout_s: float = TIMEOUT_S) -> ModelCall:
    return ModelCall(model=a_model(url), body=body_of(a_request()), timeout_s=timeout_s)


async def read(models: OpenAICompatible, call: ModelCall) -> Reading:
    reading = Reading(lambda: 0)

    def take(chunks: Sequence[Chunk]) -> None:
        reading.add(chunks)

    await models.chat(call, take)
    return reading
