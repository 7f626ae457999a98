"""Recorded requests from a real LLM_EVENTS: written to a file, compared from file and stream."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from pointsman.cli.main import main
from pointsman.contracts.messages import Accept, Accepted, Completed, Event, Failed
from pointsman.runtime import ServiceSettings
from pointsman.runtime.app import running
from pointsman.runtime.embedded_nats import EmbeddedNats
from pointsman.runtime.nats_transport import NatsTransport
from pointsman.runtime.process_bus import ProcessBus
from pointsman.testing.registry import write_registry
from pointsman.testing.requests import chat, context
from pointsman.testing.stages import scripted_pipeline

WAIT_S = 20
REQUESTS = 3
SECRET = "words that nobody may read"

OLD = """\
apiVersion: ai.gateway/v1
kind: SemanticRoute
metadata: {name: test}
spec:
  signals: [intent]
  targets:
  - {model: small, condition: intent == simple}
  - {model: large, condition: intent == complex}
"""
NEW = OLD.replace("model: small", "model: large")

Told = Callable[..., Awaitable[list[Event]]]


async def pointsman(server: EmbeddedNats, *arguments: str) -> Result:
    """Run the command as a shell would, with NATS_URL set."""
    environment = {"NATS_URL": server.url}
    return await asyncio.to_thread(CliRunner().invoke, main, list(arguments), env=environment)


@pytest.fixture
def comparing(tmp_path: Path) -> list[str]:
    """The arguments that compare OLD with NEW, but for the events."""
    old, new = tmp_path / "old.yaml", tmp_path / "new.yaml"
    old.write_text(OLD, encoding="utf-8")
    new.write_text(NEW, encoding="utf-8")
    registry = write_registry(tmp_path)
    return ["route", "diff", str(old), str(new), "--registry", str(registry), "--json"]


async def ask(bus: ProcessBus, told: Told) -> None:
    asked = context(ingress=bus.instance)
    with bus.subscribe_frames(asked.request_id) as frames:
        command = Accept(context=asked, request=chat(SECRET), vault_key="")
        await bus.accept(command, Accepted(model="auto", messages=1))
        async with asyncio.timeout(WAIT_S):
            assert isinstance(await frames.get(), Completed | Failed)
    await told(asked.request_id, facts=6)


async def test_a_file_of_events_says_the_same_as_the_stream(
    bus: ProcessBus,
    settings: ServiceSettings,
    nats_server: EmbeddedNats,
    told: Told,
    tmp_path: Path,
    comparing: list[str],
) -> None:
    async with running(scripted_pipeline(settings)):
        for _ in range(REQUESTS):
            await ask(bus, told)
    path = tmp_path / "events.jsonl"
    written = await pointsman(nats_server, "route", "events", "--out", str(path), "--since", "1h")
    from_file = await pointsman(nats_server, *comparing, "--events", str(path))
    from_stream = await pointsman(nats_server, *comparing, "--events", "stream")
    assert (written.exit_code, from_file.exit_code, from_stream.exit_code) == (0, 0, 0)
    stored = path.read_text(encoding="utf-8")
    assert f"{len(stored.splitlines())} events" in written.output
    assert SECRET not in stored
    assert from_file.stdout == from_stream.stdout
    found: dict[str, Any] = json.loads(from_stream.stdout)
    assert (found["requests"], found["moved"]) == (REQUESTS, REQUESTS)
    # The scripted stage answers with 10 tokens in and 5 out.
    assert float(found["cost"]["old_usd"]) == pytest.approx(REQUESTS * 0.00002)
    assert found["latency"]["new_from"] == {"unknown": REQUESTS}


async def test_an_empty_stream_says_so(
    transport: NatsTransport, nats_server: EmbeddedNats, comparing: list[str]
) -> None:
    result = await pointsman(nats_server, *comparing, "--events", "stream")
    assert result.exit_code == 1
    assert result.output == "Error: stream: no events, at least not from that time\n"
