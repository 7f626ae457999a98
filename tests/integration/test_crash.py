"""Nothing is lost: in every shape, each process killed in turn, then the bus itself.

Real services, real nats-server with file storage, simulated models. The load never stops while
processes die: it keeps 200 requests in flight.
"""

import asyncio
import os
from collections import Counter
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from pointsman.accounting.adapters.report import ledger_report, open_ledger, request_entries
from pointsman.cli.children import loadgen, point_registry_at
from pointsman.contracts.messages import Event
from pointsman.contracts.parts import ServiceName
from pointsman.contracts.topology import LLM_DEAD, LLM_EVENTS, LLM_WORK, SERVICES, WORKERS
from pointsman.runtime.child_process import free_port
from pointsman.runtime.dead import list_letters
from pointsman.runtime.embedded_nats import EmbeddedNats
from pointsman.runtime.nats_transport import NatsTransport
from pointsman.runtime.reading import read_events
from pointsman.testing.processes import Processes, processes

CONFIG = Path(__file__).parents[2] / "loadgen" / "config"
IN_FLIGHT = 200
STEP = 40
"""Answers that must arrive between one crash and the next."""

PROMPTS = (
    *["Change my account password."] * 6,
    "List three benefits of green tea, explain how to brew it, and tell me when not to drink it.",
    "Audit all cluster security logs.",
)
"""Most take the short way; some are escalated by the judge, some are bound to tools."""

Shape = Mapping[str, tuple[ServiceName, ...]]
"""Processes by name, and the services that each of them runs, fused."""

SHAPES: dict[str, Shape] = {
    "seven": {name: (name,) for name in SERVICES},
    "three": {"ingress": ("ingress",), "pipeline": WORKERS, "accounting": ("accounting",)},
    "one": {"pointsman": SERVICES},
}

START_S = 180
STEP_S = 120
DRAIN_S = 240
OUTCOMES = {"completed", "blocked", "failed"}


@dataclass
class Load:
    """Keeps ``IN_FLIGHT`` requests open and remembers what came back."""

    base_url: str
    answered: list[str] = field(default_factory=list[str])
    statuses: Counter[str] = field(default_factory=Counter[str])
    is_stopping: bool = False
    _asked: int = 0

    async def run(self) -> None:
        limits = httpx.Limits(max_connections=IN_FLIGHT, max_keepalive_connections=IN_FLIGHT)
        async with (
            httpx.AsyncClient(base_url=self.base_url, timeout=300, limits=limits) as client,
            asyncio.TaskGroup() as group,
        ):
            for _ in range(IN_FLIGHT):
                group.create_task(self._client(client))

    async def _client(self, client: httpx.AsyncClient) -> None:
        while not self.is_stopping:
            self._asked += 1
            kind = PROMPTS[self._asked % len(PROMPTS)]
            words = f"{kind} This is request {self._asked}."
            body = {"model": "auto", "messages": [{"role": "user", "content": words}]}
            try:
                response = await client.post("/v1/chat/completions", json=body)
            except httpx.HTTPError as error:
                self.statuses[type(error).__name__] += 1
                await asyncio.sleep(0.5)
                continue
            self.statuses[str(response.status_code)] += 1
            if response.status_code == 200:
                self.answered.append(response.headers["x-request-id"])
            else:
                await asyncio.sleep(0.5)

    async def more(self, count: int = STEP) -> None:
        """Wait until ``count`` more answers have come."""
        wanted = len(self.answered) + count
        async with asyncio.timeout(STEP_S):
            while len(self.answered) < wanted:
                await asyncio.sleep(0.05)


@dataclass(frozen=True, kw_only=True)
class Rig:
    """A platform of one or several processes."""

    shape: Shape
    services: Processes
    server: EmbeddedNats
    transport: NatsTransport
    base_url: str
    ledger_url: str


@pytest.fixture(params=list(SHAPES))
async def rig(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    nats_server: EmbeddedNats,
    transport: NatsTransport,
) -> AsyncGenerator[Rig]:
    port = free_port()
    async with loadgen("models", "--speed", "20", log_dir=tmp_path / "logs") as models:
        await models.answering()
        registry = point_registry_at(CONFIG / "models.yaml", models.port, tmp_path / "models.yaml")
        ledger_url = f"sqlite:///{tmp_path / 'ledger.sqlite'}"
        environment = {
            **os.environ,
            "NATS_URL": nats_server.url,
            "POINTSMAN_STATE_DIR": str(tmp_path),
            "INGRESS_PORT": str(port),
            "INGRESS_DEADLINE": "PT5M",
            "INGRESS_REGISTRY_PATH": str(registry),
            "CLASSIFIER_REGISTRY_PATH": str(registry),
            "CLASSIFIER_ROUTE_PATH": str(CONFIG / "route.yaml"),
            "EXECUTOR_REGISTRY_PATH": str(registry),
            "POINTSMAN_EMBEDDER_DIR": os.environ.get("POINTSMAN_EMBEDDER_DIR", ".state/embedder"),
            "TOOLRAG_CATALOGUE_DIR": os.environ.get("TOOLRAG_CATALOGUE_DIR", ".state/catalogue"),
            "ACCOUNTING_DATABASE_URL": ledger_url,
            "LOG_FORMAT": "json",
        }
        async with processes(tmp_path / "logs", environment) as services:
            shape = SHAPES[request.param]
            for name, together in shape.items():
                await services.start(name, together)
            base_url = f"http://127.0.0.1:{port}"
            await answering(base_url, services)
            yield Rig(
                shape=shape,
                services=services,
                server=nats_server,
                transport=transport,
                base_url=base_url,
                ledger_url=ledger_url,
            )


async def answering(base_url: str, services: Processes) -> None:
    """Wait until a first request has gone through all stages."""
    body = {"model": "auto", "messages": [{"role": "user", "content": "Are you there?"}]}
    async with asyncio.timeout(START_S), httpx.AsyncClient(timeout=START_S) as client:
        while True:
            assert services.ended() == {}, {n: services.log(n) for n in services.ended()}
            try:
                response = await client.post(f"{base_url}/v1/chat/completions", json=body)
            except httpx.HTTPError:
                await asyncio.sleep(0.2)
                continue
            assert response.status_code == 200, response.text
            return


async def drained(rig: Rig) -> None:
    """Wait until no command waits and accounting has seen every event."""
    async with asyncio.timeout(DRAIN_S):
        while True:
            work = await rig.transport.stream_depth(LLM_WORK)
            if work == 0 and not await rig.transport.consumer_lag(LLM_EVENTS, "accounting"):
                return
            await asyncio.sleep(0.2)


async def poison(transport: NatsTransport) -> None:
    """Put a body that is no message of ours in front of every worker."""
    for service in WORKERS:
        await transport.publish(
            f"llm.work.{service}",
            b"\xffpoison",
            stream=LLM_WORK,
            message_id=f"poison.{service}",
            headers={},
        )


async def test_nothing_is_lost_when_each_process_and_then_the_bus_is_killed(rig: Rig) -> None:
    load = Load(rig.base_url)
    loading = asyncio.create_task(load.run())
    try:
        await load.more()
        await poison(rig.transport)
        for name, together in rig.shape.items():
            await rig.services.kill(name)
            await rig.services.start(name, together)
            await load.more()
        await rig.server.kill()
        await rig.server.start()
        await load.more()
    finally:
        load.is_stopping = True
        async with asyncio.timeout(DRAIN_S):
            await loading
    await drained(rig)
    assert rig.services.ended() == {}

    events = [event async for event in read_events(rig.transport)]
    _every_request_ended_once(events, load)
    assert len(load.answered) >= STEP * (len(rig.shape) + 2)
    await _books_agree(events, rig)
    letters = await list_letters(rig.transport)
    assert Counter(stored.letter.service for stored in letters) == Counter(WORKERS)
    assert await rig.transport.stream_depth(LLM_DEAD) == len(WORKERS)


def _every_request_ended_once(events: list[Event], load: Load) -> None:
    seen = {event.context.request_id for event in events}
    ends: dict[str, list[str]] = {request_id: [] for request_id in seen}
    for event in events:
        if event.fact.type in OUTCOMES:
            ends[event.context.request_id].append(event.fact.type)
    unended = {request_id: found for request_id, found in ends.items() if len(found) != 1}
    assert unended == {}
    # The crashes hit work that was under way, on every road there is.
    assert any(event.delivery > 1 for event in events)
    assert {"tools_retrieved", "judged"} <= {event.fact.type for event in events}
    assert any(event.attempt == 2 for event in events)
    # Every crash is survived, not merely reported: nobody was told that it failed.
    assert {found[0] for found in ends.values()} == {"completed"}
    assert set(load.answered) <= seen
    assert len(set(load.answered)) == len(load.answered)
    assert set(load.statuses) <= {"200", "503", "ConnectError", "ReadError", "RemoteProtocolError"}


async def _books_agree(events: list[Event], rig: Rig) -> None:
    engine = await asyncio.to_thread(open_ledger, rig.ledger_url)
    try:
        report = await asyncio.to_thread(ledger_report, engine)
        assert report.consistency.is_consistent, report.consistency
        seen = {event.context.request_id for event in events}
        assert report.totals.requests == len(seen)
        assert report.outcomes == {"completed": len(seen)}
        for request_id in sorted(seen)[:: max(1, len(seen) // 50)]:
            lines = await asyncio.to_thread(request_entries, engine, request_id)
            keys = [(line.stage, line.attempt) for line in lines]
            assert len(keys) == len(set(keys))
            assert ("executor", 1) in keys
    finally:
        engine.dispose()
