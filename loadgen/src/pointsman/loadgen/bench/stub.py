"""An OpenAI-compatible model server that answers at once: the upstream of every contender.

Declared simulated: it repeats the request's words in a sentence and knows nothing. It owns no clock
but one: a prompt that holds ``CLOCK`` is streamed with a known delay, each token the time it left.
"""

import asyncio
import re
import time
from typing import Any, cast

import click
import httptools
import orjson
import uvloop

CLOCK = "bench clock"
"""In a prompt, it asks for a stream of time stamps (CLOCK_MONOTONIC, nanoseconds)."""

_CLOCK = CLOCK.encode()
_WORD = re.compile(r"[^\W_]+")
HEAD_CHARS, TAIL_CHARS, ECHOED_WORDS = 1200, 400, 60
_ADVICE = (
    "Start from what is certain, choose one step, try it, look at the result, write it down,"
    " compare it with the plan, ask somebody who knows, mend what is wrong, repeat the step,"
    " keep what worked, leave the rest, and finish with a short summary."
)
_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b"
_STREAM = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
)
_ID = b'"id":"chatcmpl-stub","created":1700000000,"model":"stub"'
_CHUNK = b'data: {"object":"chat.completion.chunk",' + _ID
_DELTA = _CHUNK + b',"choices":[{"index":0,"delta":{"content":%b},"finish_reason":null}]}\n\n'
_ROLE = (
    _CHUNK + b',"choices":[{"index":0,"delta":{"role":"assistant","content":""},'
    b'"finish_reason":null}]}\n\n'
)
_STOP = _CHUNK + b',"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n'
_USAGE = (
    _CHUNK + b',"choices":[],"usage":{"prompt_tokens":%d,"completion_tokens":%d,'
    b'"total_tokens":%d}}\n\n'
)
_DONE = b"data: [DONE]\n\n"
_WHOLE = (
    b'{"object":"chat.completion",' + _ID + b',"choices":[{"index":0,"message":{"role":"assistant",'
    b'"content":%b},"logprobs":null,"finish_reason":"stop"}],"usage":{"prompt_tokens":%d,'
    b'"completion_tokens":%d,"total_tokens":%d}}'
)
_MODELS = orjson.dumps(
    {"object": "list", "data": [{"id": "stub", "object": "model", "owned_by": "simulated"}]}
)


def answer_to(prompt: str) -> str:
    """Return a plain answer in the prompt's own words; no number is added to them."""
    reach = prompt
    if len(prompt) > HEAD_CHARS + TAIL_CHARS:
        reach = f"{prompt[:HEAD_CHARS]} {prompt[-TAIL_CHARS:]}"
    words = dict.fromkeys(_WORD.findall(reach))
    echoed = " ".join(list(words)[:ECHOED_WORDS])
    return f"You asked about this: {echoed}. {_ADVICE}"


def last_words(messages: list[dict[str, Any]]) -> str:
    """Return the text of the last user message; parts of a list are joined."""
    for message in reversed(messages):
        if message.get("role") == "user":
            content: Any = message.get("content")
            if isinstance(content, list):
                parts = cast("list[dict[str, Any]]", content)
                return " ".join(str(part.get("text", "")) for part in parts)
            return str(content or "")
    return ""


class Counts:
    """What was asked since the last look; read and forgotten by ``GET /counts``."""

    def __init__(self) -> None:
        self.calls = self.with_tools = self.streams = self.output_tokens = 0

    def take(self) -> bytes:
        taken = orjson.dumps(vars(self))
        self.__init__()
        return taken


class StubProtocol(asyncio.Protocol):
    """One connection of a client; answers each request before it reads the next."""

    def __init__(self, counts: Counts, *, clock_tokens: int, clock_delay_s: float) -> None:
        self._counts = counts
        self._clock_tokens = clock_tokens
        self._clock_delay_s = clock_delay_s
        self._parser = httptools.HttpRequestParser(self)
        self._url = b""
        self._body: list[bytes] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self._transport.close()

    def on_url(self, url: bytes) -> None:
        self._url = url

    def on_body(self, body: bytes) -> None:
        self._body.append(body)

    def on_message_complete(self) -> None:
        body = b"".join(self._body)
        self._body.clear()
        if self._url.endswith(b"/chat/completions"):
            self._chat(body)
        elif self._url.endswith(b"/counts"):
            self._whole(self._counts.take())
        else:
            self._whole(_MODELS)

    def _chat(self, body: bytes) -> None:
        request = cast("dict[str, Any]", orjson.loads(body))
        counts = self._counts
        counts.calls += 1
        counts.with_tools += bool(request.get("tools"))
        input_tokens = len(body) // 4
        options: dict[str, Any] = request.get("stream_options") or {}
        wants_usage = bool(options.get("include_usage"))
        if not request.get("stream"):
            text = answer_to(last_words(request["messages"]))
            output_tokens = text.count(" ") + 1
            counts.output_tokens += output_tokens
            total = input_tokens + output_tokens
            self._whole(_WHOLE % (orjson.dumps(text), input_tokens, output_tokens, total))
            return
        counts.streams += 1
        if _CLOCK in body:
            self._transport.write(_STREAM + _framed(_ROLE))
            self._tick(self._clock_tokens, input_tokens if wants_usage else None)
            return
        text = answer_to(last_words(request["messages"]))
        words = text.split(" ")
        counts.output_tokens += len(words)
        events = [_ROLE, _DELTA % orjson.dumps(words[0])]
        events += [_DELTA % orjson.dumps(f" {word}") for word in words[1:]]
        events.append(_STOP)
        if wants_usage:
            total = input_tokens + len(words)
            events.append(_USAGE % (input_tokens, len(words), total))
        events.append(_DONE)
        # A chunk for each event would be dearer for the reader than any real server's writes.
        self._transport.write(_STREAM + _framed(b"".join(events)) + b"0\r\n\r\n")

    def _tick(self, left: int, input_tokens: int | None) -> None:
        loop = asyncio.get_running_loop()
        if left:
            loop.call_later(self._clock_delay_s, self._send_time, left, input_tokens)
            return
        end = _STOP
        if input_tokens is not None:
            tokens = self._clock_tokens
            end += _USAGE % (input_tokens, tokens, input_tokens + tokens)
        self._transport.write(_framed(end + _DONE) + b"0\r\n\r\n")

    def _send_time(self, left: int, input_tokens: int | None) -> None:
        if self._transport.is_closing():
            return
        self._transport.write(_framed(_DELTA % (b'"%d "' % time.monotonic_ns())))
        self._counts.output_tokens += 1
        self._tick(left - 1, input_tokens)

    def _whole(self, body: bytes) -> None:
        self._transport.write(_HEAD % (len(body), body))


def _framed(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


async def serve(port: int, *, clock_tokens: int, clock_delay_s: float) -> None:
    """Serve on loopback until cancelled."""
    counts = Counts()
    server = await asyncio.get_running_loop().create_server(
        lambda: StubProtocol(counts, clock_tokens=clock_tokens, clock_delay_s=clock_delay_s),
        "127.0.0.1",
        port,
        backlog=4096,
    )
    async with server:
        await server.serve_forever()


@click.command()
@click.option("--port", type=int, required=True)
@click.option("--clock-tokens", type=int, default=20, show_default=True)
@click.option("--clock-delay-ms", type=float, default=5.0, show_default=True)
def main(port: int, clock_tokens: int, clock_delay_ms: float) -> None:
    """Serve the stub on a port of loopback."""
    uvloop.run(serve(port, clock_tokens=clock_tokens, clock_delay_s=clock_delay_ms / 1000))


if __name__ == "__main__":
    main()
