"""The handler against a real model server: answers, and every way a backend can fail."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from decimal import Decimal

import pytest

from pointsman.contracts.chat import Message
from pointsman.contracts.errors import ErrorCode
from pointsman.executor.adapters.openai_compatible import Bounds
from pointsman.executor.handler import execute

from .backend import (
    Backend,
    Reply,
    answers,
    breaks_off,
    end,
    fails,
    hangs,
    lingers,
    says,
    streams,
    usage,
    words,
    writes,
)
from .doubles import (
    a_command,
    a_request,
)
from .running import PATIENCE_S, opened, run


async def test_an_answer_is_assembled_with_the_backends_usage(backend: Backend) -> None:
    backend.will(streams(words("Two "), words("groups."), end(), usage()))
    fact = await run(backend.url, a_command(a_request(temperature=0.5)), served_name="served")
    assert fact.status == "succeeded"
    assert (fact.answer.text, fact.answer.finish_reason) == ("Two groups.", "stop")
    assert (fact.usage.input_tokens, fact.usage.output_tokens) == (100, 20)
    assert fact.usage.cost_usd == Decimal("0.000140")
    assert (fact.usage.model_calls, fact.usage.estimated) == (1, False)
    assert fact.time_to_first_token_s is not None
    assert not fact.has_streamed
    asked = backend.asked[0]
    assert (asked["model"], asked["temperature"]) == ("served", 0.5)
    assert asked["stream"] is True
    assert asked["stream_options"] == {"include_usage": True}
    assert backend.keys == ["Bearer k1"]


async def test_a_server_that_ignores_stream_is_read_as_well(backend: Backend) -> None:
    backend.will(
        answers(
            b'{"choices": [{"message": {"role": "assistant", "content": "Hi"}, '
            b'"finish_reason": "stop"}], "usage": {"prompt_tokens": 3, "completion_tokens": 1}}'
        )
    )
    fact = await run(backend.url, a_command())
    assert (fact.status, fact.answer.text, fact.usage.input_tokens) == ("succeeded", "Hi", 3)


async def test_missing_usage_is_estimated_and_says_so(backend: Backend) -> None:
    backend.will(streams(words("x" * 40), end()))
    fact = await run(backend.url, a_command())
    assert fact.usage.estimated
    assert fact.usage.output_tokens == 10
    assert fact.usage.input_tokens > 0


async def test_a_connection_is_kept_for_the_next_call(backend: Backend) -> None:
    backend.will(says("one"), says("two"))
    async with opened(backend.url) as deps:
        await execute(a_command(), deps=deps)
        await execute(a_command(), deps=deps)
    assert len(set(backend.ports)) == 1


async def test_an_answer_is_whole_though_the_backend_keeps_the_connection(
    backend: Backend,
) -> None:
    backend.will(lingers(words("Hi"), end(), usage()))
    fact = await run(backend.url, a_command())
    assert (fact.status, fact.answer.text) == ("succeeded", "Hi")
    await asyncio.wait_for(backend.client_left.wait(), PATIENCE_S)


SHORT = Bounds(first_token_timeout_s=0.5, max_response_bytes=4096, max_line_bytes=1024)
RATE_LIMITED = (ErrorCode.UPSTREAM_RATE_LIMITED, True)
BROKEN = (ErrorCode.UPSTREAM_ERROR, True)
FINAL = (ErrorCode.UPSTREAM_ERROR, False)
TOO_SLOW = (ErrorCode.UPSTREAM_TIMEOUT, True)


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        pytest.param(fails(429), RATE_LIMITED, id="429"),
        pytest.param(fails(500), BROKEN, id="500"),
        pytest.param(fails(503), BROKEN, id="503"),
        pytest.param(fails(504), TOO_SLOW, id="504"),
        pytest.param(fails(400), FINAL, id="400"),
        pytest.param(fails(401), BROKEN, id="401"),
        pytest.param(fails(403), BROKEN, id="403"),
        pytest.param(fails(404), BROKEN, id="404"),
        pytest.param(fails(302), BROKEN, id="a redirect is not followed"),
        pytest.param(hangs(headers=False), TOO_SLOW, id="no answer at all"),
        pytest.param(hangs(), TOO_SLOW, id="headers and no token"),
        pytest.param(breaks_off(words("Two ")), BROKEN, id="cut in the body"),
        pytest.param(streams(words("Two "), done=False), BROKEN, id="ends without a reason"),
        pytest.param(streams(words("Two ")), BROKEN, id="done without a reason"),
        pytest.param(streams(), BROKEN, id="done at once"),
        pytest.param(streams(words("a"), end("abort")), BROKEN, id="given up by the backend"),
        pytest.param(streams("{broken"), BROKEN, id="event is not JSON"),
        pytest.param(streams("[1]"), BROKEN, id="event is no object"),
        pytest.param(streams('{"error": {"code": 429}}'), RATE_LIMITED, id="error in the stream"),
        pytest.param(streams('{"error": "boom"}'), BROKEN, id="error text in the stream"),
        pytest.param(writes(b"<html>busy</html>\n\n"), BROKEN, id="line without a field"),
        pytest.param(writes(b"data: " + b"x" * 2000), BROKEN, id="line too long"),
        pytest.param(
            streams(*(words(f"{n:x>100}") for n in range(40)), end()), BROKEN, id="answer too long"
        ),
        pytest.param(answers(b"{broken"), BROKEN, id="body is not JSON"),
        pytest.param(answers(b"{}"), BROKEN, id="body without a choice"),
        pytest.param(answers(b"<html>", content_type="text/html"), BROKEN, id="wrong type"),
    ],
)
async def test_a_broken_backend_becomes_a_failed_fact(
    backend: Backend, reply: Reply, expected: tuple[ErrorCode, bool]
) -> None:
    backend.will(reply)
    fact = await run(backend.url, a_command(), bounds=SHORT)
    assert fact.status == "failed"
    assert (fact.error, fact.is_retryable) == expected
    assert len(backend.asked) == 1
    assert "secret" not in fact.model_dump_json()


async def test_a_slow_answer_ends_at_the_models_timeout(backend: Backend) -> None:
    backend.will(hangs(words("Two ")))
    fact = await run(backend.url, a_command(), timeout_s=1.0)
    assert (fact.error, fact.is_retryable) == TOO_SLOW
    assert fact.usage.estimated
    assert fact.usage.output_tokens == 1


async def test_a_slow_answer_ends_at_the_requests_deadline(backend: Backend) -> None:
    backend.will(hangs(words("Two ")))
    fact = await run(backend.url, a_command(deadline_s=0.5))
    assert (fact.error, fact.is_retryable) == TOO_SLOW
    await asyncio.wait_for(backend.client_left.wait(), PATIENCE_S)


async def test_nothing_is_called_after_the_deadline(backend: Backend) -> None:
    fact = await run(backend.url, a_command(deadline_s=0.0))
    assert (fact.error, fact.is_retryable) == (ErrorCode.DEADLINE_EXCEEDED, False)
    assert fact.usage.model_calls == 0
    assert backend.asked == []


async def test_the_first_token_timeout_ends_with_the_first_token(backend: Backend) -> None:
    """A thought is a token, too: reasoning models write those first."""
    thought = {"choices": [{"delta": {"reasoning_content": "hm"}, "finish_reason": None}]}
    backend.will(hangs(thought))
    bounds = Bounds(first_token_timeout_s=1.0)
    async with opened(backend.url, bounds=bounds, timeout_s=1.2) as deps:
        started = asyncio.get_running_loop().time()
        fact = await execute(a_command(), deps=deps)
        took = asyncio.get_running_loop().time() - started
    assert (fact.error, fact.is_retryable) == TOO_SLOW
    assert took >= 1.2


async def test_a_model_that_is_not_registered_may_be_replaced_by_another(backend: Backend) -> None:
    fact = await run(backend.url, a_command(model="gone"))
    assert (fact.error, fact.is_retryable) == (ErrorCode.MODEL_NOT_FOUND, True)
    assert backend.asked == []


@pytest.mark.parametrize(
    ("model", "status"), [("small", "succeeded"), ("small", "failed"), ("gone", "failed")]
)
async def test_a_fact_carries_the_decision_it_was_made_under(
    backend: Backend, model: str, status: str
) -> None:
    backend.will(says("Hi") if status == "succeeded" else fails(503))
    command = a_command(model=model)
    fact = await run(backend.url, command)
    assert (fact.status, fact.decision) == (status, command.decision)


class RawServer:
    """Closes its first connections without a byte, then answers with ``response``."""

    def __init__(self, drops: int, response: bytes = b"") -> None:
        self._drops = drops
        self._response = response
        self.connections = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        await reader.readuntil(b"\r\n\r\n")
        if self.connections > self._drops:
            writer.write(self._response)
            await writer.drain()
        writer.close()

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[str]:
        server = await asyncio.start_server(self.serve, "127.0.0.1", 0)
        async with server:
            yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"


WHOLE = b'{"choices": [{"message": {"content": "Hi"}, "finish_reason": "stop"}]}'
RESPONSE = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s" % (
    len(WHOLE),
    WHOLE,
)


@pytest.mark.parametrize(("drops", "status"), [(1, "succeeded"), (2, "failed")])
async def test_a_connection_lost_before_any_byte_is_tried_once_more(
    drops: int, status: str
) -> None:
    server = RawServer(drops, RESPONSE)
    async with server.running() as url:
        fact = await run(url, a_command())
    assert fact.status == status
    assert server.connections == 2


async def test_a_refused_connection_costs_nothing() -> None:
    async with RawServer(0).running() as url:
        pass  # the port was free and is closed again
    fact = await run(url, a_command())
    assert (fact.error, fact.is_retryable) == BROKEN
    assert (fact.usage.input_tokens, fact.usage.estimated) == (0, False)


async def test_the_critique_reaches_the_model_and_the_question_stays_last(
    backend: Backend,
) -> None:
    backend.will(says("Better."))
    command = a_command(a_request(Message(role="user", content="Q?")), critique="Too short.")
    await run(backend.url, command)
    messages = backend.asked[0]["messages"]
    assert [message["role"] for message in messages] == ["system", "user"]
    assert "Too short." in messages[0]["content"]
