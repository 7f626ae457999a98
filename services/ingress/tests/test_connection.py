"""What a connection does to its request: clients that leave or never read, words that come late."""

import asyncio
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import REGISTRY
from starlette.types import Message

from pointsman.contracts.errors import ErrorCode
from pointsman.contracts.messages import Accept, Delta, Failed, Frame
from pointsman.ingress.adapters import chat
from pointsman.ingress.adapters.http import Api
from pointsman.ingress.handler import Deps
from pointsman.ingress.settings import Settings
from pointsman.routes.registry import load_registry
from pointsman.testing.bus import ScriptedBus
from pointsman.testing.registry import write_registry
from pointsman.testing.stages import DECISION

WAIT_S = 5


class Connection:
    """One exchange with the API as a server drives it; ``leave`` is what a closed socket does."""

    def __init__(self, tmp_path: Path, *, stream: bool, **settings: Any) -> None:
        path = write_registry(tmp_path)
        self.bus = ScriptedBus(lambda _: [])
        self.api = Api(
            settings=Settings(registry_path=path, **settings),
            registry=load_registry(path),
            bus=self.bus,
            deps=Deps(gate=self.bus),
        )
        self.sent: asyncio.Queue[Message] = asyncio.Queue()
        self.reads = True
        chat = {
            "model": "auto",
            "stream": stream,
            "messages": [{"role": "user", "content": "hi"}],
        }
        self.received: asyncio.Queue[Message] = asyncio.Queue()
        self.body: Message = {"type": "http.request", "body": json.dumps(chat).encode()}

    async def run(self) -> None:
        scope: dict[str, Any] = {
            "type": "http",
            "method": "POST",
            "path": "/v1/chat/completions",
            "headers": [],
            "query_string": b"",
        }
        async with asyncio.timeout(WAIT_S):
            await self.api.app(dict)(scope, self.received.get, self._send)

    async def _send(self, message: Message) -> None:
        if not self.reads:
            await asyncio.Event().wait()
        self.sent.put_nowait(message)

    def leave(self) -> None:
        self.received.put_nowait({"type": "http.disconnect"})

    async def accepted(self) -> Accept:
        async with asyncio.timeout(WAIT_S):
            while not self.bus.accepted:
                await asyncio.sleep(0)
        return self.bus.accepted[0]


def delta(command: Accept, text: str, sequence: int) -> Delta:
    return Delta(
        request_id=command.context.request_id,
        attempt=1,
        delivery=1,
        sequence=sequence,
        model="large",
        decision=DECISION,
        text=text,
    )


def in_flight() -> float | None:
    return REGISTRY.get_sample_value("pointsman_requests_in_flight")


@pytest.mark.parametrize("stream", [False, True])
async def test_client_that_leaves_cancels_its_request_and_gives_its_place_back(
    tmp_path: Path, stream: bool
) -> None:
    connection = Connection(tmp_path, stream=stream)
    connection.received.put_nowait(connection.body)
    running = asyncio.create_task(connection.run())
    command = await connection.accepted()
    assert in_flight() == 1
    connection.leave()
    await running
    await asyncio.sleep(0)
    assert connection.bus.cancelled == [command.context.request_id]
    assert connection.sent.empty()
    assert in_flight() == 0


async def test_client_that_leaves_in_the_middle_of_a_stream_cancels_it(tmp_path: Path) -> None:
    connection = Connection(tmp_path, stream=True)
    connection.received.put_nowait(connection.body)
    running = asyncio.create_task(connection.run())
    command = await connection.accepted()
    await connection.bus.reply(command.context, delta(command, "one ", 0))
    assert (await connection.sent.get())["status"] == 200
    assert b"one " in (await connection.sent.get())["body"]
    connection.leave()
    await running
    await asyncio.sleep(0)
    assert connection.bus.cancelled == [command.context.request_id]


async def test_requests_go_on_when_it_is_us_who_disconnect(tmp_path: Path) -> None:
    connection = Connection(tmp_path, stream=False)
    connection.received.put_nowait(connection.body)
    running = asyncio.create_task(connection.run())
    await connection.accepted()
    connection.api.stop()
    connection.leave()
    await running
    await asyncio.sleep(0)
    assert connection.bus.cancelled == []


async def test_client_that_leaves_before_its_body_has_come_is_not_let_in(tmp_path: Path) -> None:
    connection = Connection(tmp_path, stream=False)
    connection.received.put_nowait({**connection.body, "more_body": True})
    connection.leave()
    await connection.run()
    assert (await connection.sent.get())["status"] == 499
    assert connection.bus.accepted == []
    assert in_flight() == 0


async def test_words_are_sent_when_they_come_and_together_when_they_came_together(
    tmp_path: Path,
) -> None:
    connection = Connection(tmp_path, stream=True)
    connection.received.put_nowait(connection.body)
    running = asyncio.create_task(connection.run())
    command = await connection.accepted()

    async def part_after(*frames: Frame) -> bytes:
        for frame in frames:
            await connection.bus.reply(command.context, frame)
        async with asyncio.timeout(WAIT_S):
            return (await connection.sent.get())["body"]

    await connection.bus.reply(command.context, delta(command, "one ", 0))
    assert (await connection.sent.get())["type"] == "http.response.start"
    assert b"one " in (await connection.sent.get())["body"]
    assert b"two " in await part_after(delta(command, "two ", 1))
    both = await part_after(delta(command, "three ", 2), delta(command, "four ", 3))
    assert both.count(b"data: ") == 2
    failed = Failed(
        request_id=command.context.request_id, code=ErrorCode.UPSTREAM_ERROR, stage="executor"
    )
    assert (await part_after(failed)).endswith(b"data: [DONE]\n\n")
    await running
    assert connection.sent.empty()
    assert connection.bus.cancelled == []


async def test_client_that_stops_reading_holds_no_place_past_its_deadline(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chat, "LAST_WAIT", timedelta(0))
    deadline = timedelta(milliseconds=50)
    connection = Connection(tmp_path, stream=True, deadline=deadline)
    connection.reads = False
    connection.received.put_nowait(connection.body)
    running = asyncio.create_task(connection.run())
    command = await connection.accepted()
    await connection.bus.reply(command.context, delta(command, "one ", 0))
    await running
    await asyncio.sleep(0)
    assert connection.bus.cancelled == [command.context.request_id]
    assert in_flight() == 0
