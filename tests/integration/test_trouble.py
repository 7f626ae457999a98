"""Trouble between a service and its bus: lost connections, full stores, two who answer the same."""

import asyncio
import os
import signal
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner

from pointsman.cli.main import main
from pointsman.contracts.errors import ErrorCode, Retryable
from pointsman.contracts.messages import (
    Accept,
    Accepted,
    Completed,
    Execute,
    Executed,
    Failed,
)
from pointsman.contracts.topology import (
    LLM_WORK,
    MEMO,
    Consumer,
    consumers_of,
    work_subject,
)
from pointsman.routes.registry import load_registry
from pointsman.runtime import ServiceSettings
from pointsman.runtime.app import read_backlog, running
from pointsman.runtime.embedded_nats import EmbeddedNats, NatsServerFailed, running_url
from pointsman.runtime.nats_transport import BusUnreachable, NatsTransport, connect
from pointsman.runtime.process_bus import ProcessBus
from pointsman.runtime.provision import Provisioning, provision
from pointsman.runtime.pull import PullLoop
from pointsman.runtime.transport import Inbound
from pointsman.testing.registry import write_registry
from pointsman.testing.requests import chat, context
from pointsman.testing.stages import DECISION, SIGNALS, answer_echo, scripted_pipeline

WAIT_S = 20


def execute() -> Execute:
    return Execute(
        context=context(), request=chat(), signals=SIGNALS, decision=DECISION, model="small"
    )


async def test_credentials_are_used(tmp_path: Path) -> None:
    async with EmbeddedNats(tmp_path / "nats", credentials=("svc", "s3cret")) as server:
        settings = ServiceSettings.model_validate(
            {"nats_url": server.url, "nats_user": "svc", "nats_password": "s3cret"}
        )
        async with connect(settings, name="test") as transport:
            assert await provision(transport, Provisioning(share=0.01))
        with pytest.raises(BusUnreachable):
            async with connect(
                ServiceSettings(nats_url=server.url), name="test", patience=timedelta(seconds=1)
            ):
                pass


async def test_nothing_is_sent_later_that_was_said_to_have_failed(
    transport: NatsTransport, nats_server: EmbeddedNats
) -> None:
    bus = ProcessBus(transport)
    asked = context()
    await nats_server.kill()
    async with asyncio.timeout(WAIT_S):
        while transport.client.is_connected:
            await asyncio.sleep(0.01)
    with pytest.raises(Retryable):
        await bus.accept(
            Accept(context=asked, request=chat(), vault_key=""), Accepted(model="auto", messages=1)
        )
    await nats_server.start()
    async with asyncio.timeout(WAIT_S):
        while not transport.client.is_connected:
            await asyncio.sleep(0.01)
    await transport.client.flush()
    assert await transport.stream_depth(LLM_WORK) == 0


async def test_abandoned_request_costs_nothing_even_if_it_was_stored(
    transport: NatsTransport, settings: ServiceSettings
) -> None:
    calls: list[str] = []

    async def answer(command: Execute) -> Executed:
        calls.append(command.model)
        return await answer_echo(command)

    bus = ProcessBus(transport)
    await bus.start()
    asked = context(ingress=bus.instance)
    await bus.abandon(asked)
    with bus.subscribe_frames(asked.request_id) as frames:
        await bus.accept(
            Accept(context=asked, request=chat(), vault_key=""), Accepted(model="auto", messages=1)
        )
        async with running(scripted_pipeline(settings, executor=answer)), asyncio.timeout(WAIT_S):
            frame = await frames.get()
    assert isinstance(frame, Failed)
    assert frame.code is ErrorCode.UNAVAILABLE
    assert calls == []


async def test_reconnecting_does_not_pull_more_than_there_are_slots(
    transport: NatsTransport,
) -> None:
    consumer = Consumer(
        stream=LLM_WORK, durable="judge", subject=work_subject("judge"), concurrency=4
    )
    running_now = 0
    most = 0
    may_end = asyncio.Event()
    handled = asyncio.Semaphore(0)

    async def hold(message: Inbound) -> None:
        nonlocal running_now, most
        running_now += 1
        most = max(most, running_now)
        await may_end.wait()
        running_now -= 1
        await message.ack()
        handled.release()

    loop = PullLoop(transport, consumer, hold, concurrency=consumer.concurrency)
    pulling = asyncio.create_task(loop.run())
    back = asyncio.Event()

    async def reconnected() -> None:
        back.set()

    transport.on_reconnect(reconnected)
    for _ in range(3):
        back.clear()
        await transport.client.force_reconnect()
        async with asyncio.timeout(WAIT_S):
            await back.wait()
    for number in range(30):
        await transport.publish(
            work_subject("judge"), b"{}", stream=LLM_WORK, message_id=f"m{number}", headers={}
        )
    async with asyncio.timeout(WAIT_S):
        while running_now < consumer.concurrency:
            await asyncio.sleep(0.01)
        may_end.set()
        for _ in range(30):
            await handled.acquire()
    loop.stop()
    await pulling
    assert most == consumer.concurrency


async def test_backlog_tells_how_full_the_stores_are(transport: NatsTransport) -> None:
    empty = await read_backlog(transport)
    for number in range(20):
        await transport.create(MEMO, f"key{number}", b"x" * 100_000)
    assert empty.commands == 0
    assert (await read_backlog(transport)).fill > empty.fill


async def test_two_servers_never_share_a_store(nats_server: EmbeddedNats) -> None:
    assert running_url(nats_server.store_dir) == nats_server.url
    with pytest.raises(NatsServerFailed, match="in use"):
        await EmbeddedNats(nats_server.store_dir).start()
    await nats_server.kill()
    assert running_url(nats_server.store_dir) is None
    await nats_server.start()


async def test_process_that_waits_for_its_bus_can_be_stopped() -> None:
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "pointsman.cli.main",
        "run",
        "judge",
        env={**os.environ, "NATS_URL": "nats://127.0.0.1:9", "LOG_FORMAT": "json"},
        stdout=asyncio.subprocess.PIPE,
    )
    assert child.stdout is not None
    async with asyncio.timeout(WAIT_S):
        assert b"nats.error" in await child.stdout.readline()
        child.send_signal(signal.SIGTERM)
        assert await child.wait() == 0


def test_bus_that_does_not_answer_is_said_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pointsman.cli.inspecting.PATIENCE", timedelta(milliseconds=200))
    result = CliRunner().invoke(main, ["dead", "list", "--nats-url", "nats://127.0.0.1:9"])
    assert result.exit_code == 1
    assert "no bus answers at nats://127.0.0.1:9" in result.output


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("fallbacks: [large]", "fallbacks: [nobody]"), "nobody"),
        (("is_simulated: true", "api_key_env: NO_SUCH_KEY"), "NO_SUCH_KEY"),
    ],
)
def test_registry_that_cannot_work_stops_the_start_by_name(
    tmp_path: Path, change: tuple[str, str], said: str
) -> None:
    path = write_registry(tmp_path)
    assert load_registry(path)
    path.write_text(path.read_text(encoding="utf-8").replace(*change), encoding="utf-8")
    environment = {"EXECUTOR_REGISTRY_PATH": str(path)}
    result = CliRunner().invoke(main, ["run", "executor"], env=environment)
    assert result.exit_code == 1
    assert said in result.output
    assert "Traceback" not in result.output


def test_concurrency_of_every_consumer_fits_its_ack_pending() -> None:
    for service in ("safety", "classifier", "toolrag", "executor", "judge", "accounting"):
        for consumer in consumers_of(service):
            assert consumer.concurrency <= consumer.max_ack_pending


async def test_completed_request_leaves_nothing_behind(
    transport: NatsTransport, settings: ServiceSettings
) -> None:
    bus = ProcessBus(transport)
    await bus.start()
    asked = context(ingress=bus.instance)
    async with running(scripted_pipeline(settings)), asyncio.timeout(WAIT_S):
        with bus.subscribe_frames(asked.request_id) as frames:
            await bus.accept(
                Accept(context=asked, request=chat(), vault_key=""),
                Accepted(model="auto", messages=1),
            )
            assert isinstance(await frames.get(), Completed)
        while await transport.consumer_lag(LLM_WORK, "judge"):
            await asyncio.sleep(0.01)
    assert await transport.stream_depth(LLM_WORK) == 0
