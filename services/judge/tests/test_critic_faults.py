"""Backends that fail a critic, and its limits: no score, the price of what was done."""

import asyncio
import json
import socket
import subprocess
import sys
from collections.abc import AsyncGenerator, Callable

import pytest

from pointsman.contracts.messages import Judge
from pointsman.judge.adapters.critic_calls import CriticBounds
from pointsman.judge.domain.rubric import CriticFailed

from .critic_backend import (
    Backend,
    Reply,
    answers,
    breaks_off,
    completion,
    fails,
    hangs,
    running_backend,
    says,
)
from .critic_running import (
    ANSWERED,
    CRITIC,
    GOOD,
    PATIENCE_S,
    QUESTION,
    a_critic,
    failure,
    paid,
    within,
)

MakeCommand = Callable[..., Judge]


@pytest.fixture
async def backend() -> AsyncGenerator[Backend]:
    async with running_backend() as server:
        yield server


@pytest.fixture
def made(command: MakeCommand) -> Judge:
    return within(command(QUESTION, ANSWERED), 30)


@pytest.mark.parametrize(
    ("reply", "reason", "calls"),
    [
        (fails(500), "status 500", 0),
        (fails(503), "status 503", 0),
        (fails(429), "status 429", 0),
        (fails(400), "status 400", 0),
        (fails(401), "status 401", 0),
        (answers(b"", status=302, location="http://127.0.0.1:9/"), "status 302", 0),
        (answers(b"<html>"), "the answer has a wrong shape", 1),
        (answers(b'{"error": {"message": "secret"}}'), "the answer has a wrong shape", 1),
        (answers(b'{"choices": []}'), "the answer has a wrong shape", 1),
        (says("{}", usage={"prompt_tokens": -5}), "the answer has a wrong shape", 1),
        (answers(completion("x" * 5_000)), "the answer is too long", 1),
        (answers(b"x", content_encoding="gzip"), "compressed answer", 1),
        (breaks_off, "the answer was cut", 1),
    ],
    ids=range(13),
)
async def test_a_backend_that_fails_gives_no_score(
    backend: Backend, made: Judge, reply: Reply, reason: str, calls: int
) -> None:
    backend.will(reply)
    failed = await failure(backend.url, made, CriticBounds(max_response_bytes=4_096))

    assert failed.reason == reason
    assert (paid(failed).model_calls, paid(failed).estimated) == (calls, bool(calls))
    assert len(backend.asked) == 1


async def test_nobody_listening_is_a_failure_that_costs_nothing(made: Judge) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/v1"
    failed = await failure(url, made)
    assert (failed.reason, paid(failed).model_calls) == ("no connection", 0)


@pytest.mark.parametrize("is_back", [True, False])
async def test_a_kept_connection_that_was_closed_is_replaced_once(
    made: Judge, is_back: bool
) -> None:
    body = completion(json.dumps(GOOD))
    connections = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one request of a connection and close at the second; later ones, if back."""
        nonlocal connections
        connections += 1
        if connections == 1 or is_back:
            head = await reader.readuntil(b"\r\n\r\n")
            size = int(head.lower().partition(b"content-length: ")[2].split()[0])
            await reader.readexactly(size)
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body))
            if connections == 1:
                await reader.readuntil(b"\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
    async with server, a_critic(url) as critic, asyncio.timeout(PATIENCE_S):
        await critic.review(made, model=CRITIC)
        if is_back:
            assert (await critic.review(made, model=CRITIC)).usage.model_calls == 1
        else:
            with pytest.raises(CriticFailed, match="no connection"):
                await critic.review(made, model=CRITIC)
    assert connections == 2


async def test_a_slow_answer_ends_before_the_deadline(
    backend: Backend, command: MakeCommand, made: Judge
) -> None:
    backend.will(says(json.dumps(GOOD)), hangs)
    loop = asyncio.get_running_loop()
    async with a_critic(backend.url) as critic, asyncio.timeout(PATIENCE_S):
        await critic.review(made, model=CRITIC)  # the first one loads the HTTP client
        began = loop.time()
        with pytest.raises(CriticFailed) as failed:
            # 0.4 s, for 1 s is left to what follows.
            await critic.review(within(command(QUESTION, ANSWERED), 1.4), model=CRITIC)
        assert 0.4 <= loop.time() - began < 1.4
        await backend.client_left.wait()
    assert failed.value.reason == "no answer in time"
    usage = paid(failed.value)
    assert (usage.model_calls, usage.estimated) == (1, True)


async def test_the_models_own_timeout_bounds_a_call(backend: Backend, made: Judge) -> None:
    backend.will(hangs)
    failed = await failure(backend.url, made, timeout_s=0.1)
    assert failed.reason == "no answer in time"


@pytest.mark.parametrize("seconds", [-5, 0, 1])
async def test_without_time_no_model_is_called(
    backend: Backend, command: MakeCommand, seconds: float
) -> None:
    failed = await failure(backend.url, within(command(QUESTION, ANSWERED), seconds))
    assert (failed.reason, failed.usage) == ("no time left", None)
    assert backend.asked == []


async def test_an_unknown_critic_a_missing_key_and_a_small_window_call_no_model(
    backend: Backend, made: Judge
) -> None:
    async with a_critic(backend.url) as critic:
        with pytest.raises(CriticFailed, match="not in the registry"):
            await critic.review(made, model="somebody")
    assert (
        await failure(backend.url, made, api_key_env="NO_KEY")
    ).reason == "no key for this model"
    assert "window" in (await failure(backend.url, made, context_window=2_000)).reason
    assert backend.asked == []


async def test_a_cancelled_review_closes_its_connection(backend: Backend, made: Judge) -> None:
    backend.will(hangs)
    async with a_critic(backend.url) as critic:
        running = asyncio.create_task(critic.review(made, model=CRITIC))
        async with asyncio.timeout(PATIENCE_S):
            while not backend.running:
                await asyncio.sleep(0)
            running.cancel()
            with pytest.raises(asyncio.CancelledError):
                await running
            await backend.client_left.wait()


def test_who_asks_no_critic_does_not_load_its_client() -> None:
    loading = "import sys, pointsman.judge.adapters.critic; print('aiohttp' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", loading], capture_output=True, check=True)
    assert found.stdout.split() == [b"False"]


async def test_only_so_many_reviews_run_at_a_time(backend: Backend, made: Judge) -> None:
    backend.will(says(json.dumps(GOOD)))
    bounds = CriticBounds(max_calls=2)
    async with a_critic(backend.url, bounds) as critic, asyncio.TaskGroup() as group:
        for _ in range(8):
            group.create_task(critic.review(made, model=CRITIC))
    assert len(backend.asked) == 8
    assert backend.most_running <= 2
    assert len(backend.ports) <= 2


async def test_one_that_finds_no_place_in_time_fails(
    backend: Backend, command: MakeCommand, made: Judge
) -> None:
    backend.will(hangs)
    async with a_critic(backend.url, CriticBounds(max_calls=1)) as critic:
        first = asyncio.create_task(critic.review(made, model=CRITIC))
        async with asyncio.timeout(PATIENCE_S):
            while not backend.running:
                await asyncio.sleep(0)
            with pytest.raises(CriticFailed, match="too many") as failed:
                await critic.review(within(command(QUESTION, ANSWERED), 1.1), model=CRITIC)
            first.cancel()
            with pytest.raises(asyncio.CancelledError):
                await first
    assert failed.value.usage is not None
    assert failed.value.usage.model_calls == 0
