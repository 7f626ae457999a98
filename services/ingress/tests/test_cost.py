"""The measurement itself: its bus and its client keep each other busy to the end."""

import asyncio

import pytest

from pointsman.ingress.adapters.http import Api
from pointsman.ingress.cost import AnsweringBus, Case, ask, registry_of_one
from pointsman.ingress.handler import Deps
from pointsman.ingress.settings import Settings
from pointsman.runtime.child_process import free_port
from pointsman.runtime.health import serve_http


@pytest.mark.parametrize(
    "case",
    [
        Case(title="whole", requests=6, clients=2),
        Case(title="open", requests=30, clients=8, unanswered=6),
        Case(title="stream", requests=4, clients=2, deltas=3),
    ],
    ids=lambda case: case.title,
)
async def test_every_request_is_answered(case: Case) -> None:
    bus = AnsweringBus(case)
    api = Api(settings=Settings(), registry=registry_of_one(), bus=bus, deps=Deps(gate=bus))
    port = free_port()
    serving = asyncio.create_task(serve_http(api.app(dict), "127.0.0.1", port))
    await asyncio.sleep(0)
    async with asyncio.timeout(10):
        await ask(port, case)
    serving.cancel()
    await asyncio.wait({serving})
    assert bus.accepted == case.requests
