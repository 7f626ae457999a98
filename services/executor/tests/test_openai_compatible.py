"""The adapter against servers that write HTTP byte by byte: whole answers, broken ones, limits."""

import asyncio
from collections.abc import Sequence

import pytest
from pydantic import SecretStr

from pointsman.contracts.errors import ErrorCode
from pointsman.executor.adapters.openai_compatible import Bounds, open_models
from pointsman.executor.domain.failures import ModelFailed
from pointsman.executor.domain.reading import Chunk, Reading

from .backend import event, words
from .raw import ANSWER, EVENTS, FRAMED, WHOLE, RawServer, a_call, read

PATIENCE_S = 5.0


async def text_of(url: str, bounds: Bounds | None = None) -> str:
    async with open_models(bounds or Bounds(), {}) as models:
        return (await read(models, a_call(url))).text


async def failure_of(url: str, bounds: Bounds | None = None) -> ModelFailed:
    with pytest.raises(ModelFailed) as failed:
        await text_of(url, bounds)
    return failed.value


@pytest.mark.parametrize(
    ("response", "closes"),
    [
        pytest.param(WHOLE, False, id="chunked"),
        pytest.param(
            EVENTS + b"content-length: %d\r\n\r\n%b" % (len(ANSWER), ANSWER), False, id="counted"
        ),
        pytest.param(EVENTS + b"\r\n" + ANSWER, True, id="ends with the connection"),
        pytest.param(b"HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n" + WHOLE, False, id="hints"),
        pytest.param(WHOLE.replace(b"HTTP/1.1", b"HTTP/1.0"), True, id="HTTP/1.0"),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nCONTENT-TYPE: Text/Event-Stream; charset=utf-8\r\n" + FRAMED,
            False,
            id="in capitals, and still open",
        ),
    ],
)
async def test_an_answer_is_whole_however_its_end_is_told(response: bytes, closes: bool) -> None:
    server = RawServer(response, closes=closes)
    async with server.running() as url:
        assert await text_of(url) == "Hi"
    assert server.connections == 1


@pytest.mark.parametrize(
    ("response", "reason"),
    [
        (b"220 mail.example ESMTP\r\n", "the answer is no HTTP"),
        (EVENTS + b"content-length: 900\r\n\r\n" + event(words("Hi")), "the answer was cut"),
        (b"HTTP/1.1 20", "the answer was cut"),
        (EVENTS + b"transfer-encoding: chunked\r\n\r\nzz\r\n" + ANSWER, "the answer is no HTTP"),
        (b"HTTP/1.1 200 OK\r\nx: " + b"x" * 9000, "the answer is no HTTP"),
        (EVENTS + b"\r\n" + event(words("x" * 5000)), "the answer is too long"),
        (EVENTS + b"content-encoding: gzip\r\n" + FRAMED, "compressed answer"),
        (b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n", "101"),
    ],
    ids=["no HTTP", "cut", "cut in the head", "framing", "head", "long", "compressed", "upgrade"],
)
async def test_what_is_no_answer_is_a_failure_and_not_tried_again(
    response: bytes, reason: str
) -> None:
    server = RawServer(response, closes=True)
    async with server.running() as url:
        failure = await failure_of(url, Bounds(max_response_bytes=4096))
    assert (failure.code, failure.is_retryable) == (ErrorCode.UPSTREAM_ERROR, True)
    assert reason in failure.reason
    assert server.connections == 1


async def test_framing_that_breaks_in_the_midst_ends_with_the_timeout_at_the_latest() -> None:
    """It is the timeout: aiohttp 3.14 closes the connection without a word to its reader."""
    begun = asyncio.Event()
    written = event(words("Hi"))

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(EVENTS + b"transfer-encoding: chunked\r\n\r\n")
        writer.write(b"%x\r\n%b\r\n" % (len(written), written))
        await begun.wait()
        writer.write(b"no size of a chunk\r\n")
        await reader.read()
        writer.close()

    def take(chunks: Sequence[Chunk]) -> None:
        assert chunks
        begun.set()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server, open_models(Bounds(), {}) as models:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
        with pytest.raises(ModelFailed) as failed:
            await models.chat(a_call(url, timeout_s=0.3), take)
    assert begun.is_set()
    assert failed.value.is_retryable


async def test_what_comes_before_a_broken_event_still_counts() -> None:
    body = event(words("Two ")) + event(words("groups")) + event("{broken") + event(words("no"))
    server = RawServer(EVENTS + b"content-length: %d\r\n\r\n%b" % (len(body), body))
    reading = Reading(lambda: 0)

    def take(chunks: Sequence[Chunk]) -> None:
        reading.add(chunks)

    async with server.running() as url, open_models(Bounds(), {}) as models:
        with pytest.raises(ModelFailed, match="wrong shape"):
            await models.chat(a_call(url), take)
    assert reading.text == "Two groups"


async def test_a_request_names_its_host_its_length_and_its_key() -> None:
    server = RawServer(WHOLE)
    async with server.running() as url, open_models(Bounds(), {"small": SecretStr("k1")}) as models:
        await read(models, a_call(f"{url}/"))
    head, _, body = server.requests[0].partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    assert lines[0] == "POST /v1/chat/completions HTTP/1.1"
    assert sorted(lines[1:]) == [
        "Accept-Encoding: identity",
        "Accept: text/event-stream, application/json",
        "Authorization: Bearer k1",
        f"Content-Length: {len(body)}",
        "Content-Type: application/json",
        f"Host: 127.0.0.1:{server.port}",
        "User-Agent: pointsman-executor",
    ]


@pytest.mark.parametrize("key", ["k1\r\nx-injected: 1", "schlüssel"])
async def test_a_key_that_no_header_can_hold_is_not_sent(key: str) -> None:
    server = RawServer(WHOLE)
    async with server.running() as url, open_models(Bounds(), {"small": SecretStr(key)}) as models:
        with pytest.raises(ModelFailed) as failed:
            await read(models, a_call(url))
    assert (failed.value.was_processed, server.requests) == (False, [])
    assert key not in str(failed.value)


async def test_a_proxy_of_the_environment_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    server = RawServer(WHOLE)
    async with server.running() as url:
        assert await text_of(url) == "Hi"


async def test_a_connection_that_the_backend_gave_up_is_replaced() -> None:
    server = RawServer(WHOLE, WHOLE, closes=True)
    async with server.running() as url, open_models(Bounds(), {}) as models:
        texts = [(await read(models, a_call(url))).text for _ in range(2)]
    assert (texts, server.connections) == (["Hi", "Hi"], 2)


async def test_a_second_response_to_one_request_is_nobodys_answer() -> None:
    more = WHOLE.replace(b"Hi", b"No")
    server = RawServer(WHOLE + more, WHOLE)
    async with server.running() as url, open_models(Bounds(), {}) as models:
        texts = [(await read(models, a_call(url))).text for _ in range(2)]
    assert (texts, server.connections) == (["Hi", "Hi"], 2)


async def test_a_connection_is_kept_though_its_body_ends_after_the_last_event() -> None:
    server = RawServer(EVENTS + FRAMED, WHOLE)
    async with server.running() as url, open_models(Bounds(max_connections=1), {}) as models:
        assert (await read(models, a_call(url))).text == "Hi"
        second = asyncio.create_task(read(models, a_call(url)))
        assert (await asyncio.wait_for(second, PATIENCE_S)).text == "Hi"
    # The end never came, so the place was given up after a moment, and taken anew.
    assert server.connections == 2


async def test_calls_beyond_the_limit_wait_for_a_connection() -> None:
    server = RawServer(None, WHOLE, WHOLE)
    async with server.running() as url, open_models(Bounds(max_connections=1), {}) as models:
        calls = [asyncio.create_task(read(models, a_call(url))) for _ in range(3)]
        async with asyncio.timeout(PATIENCE_S):
            while not server.requests:
                await asyncio.sleep(0.001)
            server.go_on.set()
            readings = await asyncio.gather(*calls)
    assert [reading.text for reading in readings] == ["Hi"] * 3
    assert server.connections == 1


async def test_a_call_that_waits_too_long_for_a_connection_costs_nothing() -> None:
    server = RawServer(None)
    bounds = Bounds(max_connections=1, connect_timeout_s=0.05)
    async with server.running() as url, open_models(bounds, {}) as models:
        first = asyncio.create_task(read(models, a_call(url)))
        async with asyncio.timeout(PATIENCE_S):
            while not server.requests:
                await asyncio.sleep(0.001)
            with pytest.raises(ModelFailed) as failed:
                await read(models, a_call(url))
            server.go_on.set()
            assert (await first).text == "Hi"
    assert (failed.value.code, failed.value.was_processed) == (ErrorCode.UPSTREAM_TIMEOUT, False)


async def test_a_waiting_call_that_is_cancelled_leaves_its_turn_to_the_next() -> None:
    server = RawServer(None, WHOLE)
    async with server.running() as url, open_models(Bounds(max_connections=1), {}) as models:
        async with asyncio.timeout(PATIENCE_S):
            first = asyncio.create_task(read(models, a_call(url)))
            while not server.requests:
                await asyncio.sleep(0.001)
            waiting = [asyncio.create_task(read(models, a_call(url))) for _ in range(2)]
            await asyncio.sleep(0)
            waiting[0].cancel()
            server.go_on.set()
            assert (await first).text == (await waiting[1]).text == "Hi"
    assert waiting[0].cancelled()
    assert server.connections == 1


async def test_a_connection_that_is_kept_takes_no_place_of_another_backend() -> None:
    one, other = RawServer(WHOLE), RawServer(WHOLE)
    async with (
        one.running() as first,
        other.running() as second,
        open_models(Bounds(max_connections=1), {}) as models,
    ):
        assert (await read(models, a_call(first))).text == "Hi"
        assert (await read(models, a_call(second))).text == "Hi"


async def test_a_cancelled_call_closes_its_connection() -> None:
    server = RawServer(None)
    async with server.running() as url, open_models(Bounds(), {}) as models:
        running = asyncio.create_task(read(models, a_call(url)))
        async with asyncio.timeout(PATIENCE_S):
            while not server.requests:
                await asyncio.sleep(0.001)
            running.cancel()
            with pytest.raises(asyncio.CancelledError):
                await running
            server.go_on.set()
            await server.left.wait()
