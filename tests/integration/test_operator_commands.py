"""What an operator types, over a real bus: trace, dead letters, provisioning, the ledger."""

import asyncio
import json
from collections.abc import Awaitable, Callable

import pytest
from click.testing import CliRunner, Result

from pointsman.cli.main import main
from pointsman.contracts.errors import Rejected
from pointsman.contracts.messages import (
    Accept,
    Accepted,
    Completed,
    Event,
    Execute,
    Executed,
    Failed,
)
from pointsman.runtime import ServiceSettings
from pointsman.runtime.app import running
from pointsman.runtime.embedded_nats import EmbeddedNats
from pointsman.runtime.nats_transport import NatsTransport
from pointsman.runtime.process_bus import ProcessBus
from pointsman.testing.requests import chat, context
from pointsman.testing.stages import answer_echo, scripted_pipeline

WAIT_S = 20

Told = Callable[..., Awaitable[list[Event]]]


async def pointsman(server: EmbeddedNats, *arguments: str) -> Result:
    """Run the command as a shell would, with NATS_URL set."""
    environment = {"NATS_URL": server.url}
    return await asyncio.to_thread(CliRunner().invoke, main, list(arguments), env=environment)


async def ask(bus: ProcessBus, text: str) -> str:
    asked = context(ingress=bus.instance)
    with bus.subscribe_frames(asked.request_id) as frames:
        command = Accept(context=asked, request=chat(text), vault_key="")
        await bus.accept(command, Accepted(model="auto", messages=1))
        async with asyncio.timeout(WAIT_S):
            assert isinstance(await frames.get(), Completed | Failed)
    return asked.request_id


async def test_trace_prints_the_timeline_without_any_content(
    bus: ProcessBus, settings: ServiceSettings, nats_server: EmbeddedNats, told: Told
) -> None:
    async with running(scripted_pipeline(settings)):
        await ask(bus, "another one")
        request_id = await ask(bus, "secret words")
        await told(request_id, facts=6)
        printed = await pointsman(nats_server, "trace", request_id)
        document = await pointsman(nats_server, "trace", request_id, "--json")
    assert printed.exit_code == 0
    for said in ("accepted", "safety_checked", "because scripted", "score=9.0", "$0.000015"):
        assert said in printed.output
    assert "secret words" not in printed.output + document.output
    events = json.loads(document.output)
    assert [event["service"] for event in events] == [
        "ingress",
        "safety",
        "classifier",
        "executor",
        "judge",
        "judge",
    ]


@pytest.mark.parametrize("request_id", ["nonsense", "01a1fd88-ab24-72e9-8c3f-14aef77bed31"])
async def test_trace_of_an_unknown_request_says_so(
    transport: NatsTransport, nats_server: EmbeddedNats, request_id: str
) -> None:
    result = await pointsman(nats_server, "trace", request_id)
    assert result.exit_code == 1
    assert request_id in result.output


async def test_dead_letter_is_listed_shown_and_driven_again(
    bus: ProcessBus, settings: ServiceSettings, nats_server: EmbeddedNats, told: Told
) -> None:
    # What is logged meanwhile would stand between the lines of the command's output.
    settings = settings.model_copy(update={"log_level": "error"})
    is_broken = True

    async def answer(command: Execute) -> Executed:
        if is_broken:
            raise Rejected("contradicts itself")
        return await answer_echo(command)

    async with running(scripted_pipeline(settings, executor=answer)):
        request_id = await ask(bus, "hello")
        await told(request_id, facts=5)
        listed = await pointsman(nats_server, "dead", "list")
        assert request_id in listed.output
        number = listed.output.split()[0]
        shown = await pointsman(nats_server, "dead", "show", number)
        letter = json.loads(shown.output)
        assert letter["reason"] == "contradicts itself"
        assert letter["body"]["type"] == "execute"
        is_broken = False
        driven = await pointsman(nats_server, "dead", "redrive", number)
        assert request_id in driven.output
        again = await pointsman(nats_server, "dead", "redrive", number)
        assert again.exit_code == 1
        left = await pointsman(nats_server, "dead", "list")
        assert request_id not in left.output


async def test_provisioning_twice_changes_nothing(nats_server: EmbeddedNats) -> None:
    first = await pointsman(nats_server, "provision")
    second = await pointsman(nats_server, "provision")
    assert first.exit_code == second.exit_code == 0
    assert "stream LLM_WORK created" in first.output
    assert "stream LLM_WORK updated" in second.output
