"""One keep-alive HTTP connection of the load client, as cheap as Python allows.

Owns sending one request at a time and reading its response; what is sent when is the load's.
"""

import asyncio
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Protocol, cast

import httptools
import orjson

from pointsman.loadgen.bench.stub import CLOCK

_CONTENT = re.compile(rb'"content":\s*"((?:[^"\\]|\\.)+)"')
_STAMP = re.compile(rb"\d{10,}")
_EVENT_END = b"\n\n"
CLOCK_PROMPT = f"This is the {CLOCK}: please tell the time as it passes"

clock: Final = time.perf_counter


@dataclass(slots=True)
class Reply:
    """What came back. Times are those of ``clock``; ``token_delays_s`` only of a clock's stream."""

    status: int = 0
    is_escalated: bool = False
    is_flagged: bool = False
    first_token_at: float = 0.0
    last_token_at: float = 0.0
    tokens: int = 0
    token_delays_s: list[float] = field(default_factory=list[float])


class Load(Protocol):
    """Who sends through connections."""

    def arrived(self, connection: "Connection", reply: Reply, sent_for: float) -> None:
        """A whole response is there; ``sent_for`` is what ``Connection.send`` was given."""
        ...

    def lost(self, connection: "Connection", sent_for: float | None) -> None:
        """The connection closed; ``sent_for`` is set if a request was open."""
        ...


class Connection(asyncio.Protocol):
    """Sends requests one after the other and tells ``load`` what came back."""

    def __init__(self, load: Load, *, is_stream: bool, reads_clock: bool) -> None:
        self._load = load
        self._is_stream = is_stream
        self._reads_clock = reads_clock
        self._parser = httptools.HttpResponseParser(self)
        self._reply = Reply()
        self._tail = b""
        self._sent_for: float | None = None
        self.is_open = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self.is_open = True

    def send(self, payload: bytes, sent_for: float) -> None:
        self._sent_for = sent_for
        self._reply = Reply()
        self._transport.write(payload)

    def close(self) -> None:
        if self.is_open:
            self._transport.close()

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self._transport.close()

    def on_header(self, name: bytes, value: bytes) -> None:
        if name == b"x-pointsman-attempts":
            self._reply.is_escalated = value != b"1"
        elif name == b"x-pointsman-flagged":
            self._reply.is_flagged = True

    def on_body(self, body: bytes) -> None:
        if not self._is_stream:
            return
        now, now_ns = clock(), time.monotonic_ns()
        whole, separator, self._tail = (self._tail + body).rpartition(_EVENT_END)
        if not separator:
            return
        reply = self._reply
        for match in _CONTENT.finditer(whole):
            reply.first_token_at = reply.first_token_at or now
            reply.last_token_at = now
            reply.tokens += 1
            for stamp in _STAMP.findall(match[1]) if self._reads_clock else ():
                reply.token_delays_s.append((now_ns - int(stamp)) / 1e9)

    def on_message_complete(self) -> None:
        reply, sent_for = self._reply, self._sent_for
        self._sent_for = None
        self._tail = b""
        reply.status = self._parser.get_status_code()
        if not self._parser.should_keep_alive():
            self.is_open = False
            self._transport.close()
        if sent_for is not None:
            self._load.arrived(self, reply, sent_for)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 (asyncio's name)
        self.is_open = False
        sent_for, self._sent_for = self._sent_for, None
        self._load.lost(self, sent_for)


def payload_maker(port: int, model: str, *, is_stream: bool) -> Callable[[str], bytes]:
    """Return what turns a prompt into the bytes of a whole request."""
    extra = b',"stream":true,"stream_options":{"include_usage":true}}' if is_stream else b"}"
    head = (
        f"POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\n"
        "content-type: application/json\r\nauthorization: Bearer none\r\ncontent-length: "
    ).encode()
    start = b'{"model":%b,"messages":[{"role":"user","content":' % orjson.dumps(model)

    def payload(prompt: str) -> bytes:
        body = b"%b%b}]%b" % (start, orjson.dumps(prompt), extra)
        return b"%b%d\r\n\r\n%b" % (head, len(body), body)

    return payload
