"""The adapter against a real vLLM: VLLM_BASE_URL (with /v1), VLLM_MODEL or its first model."""

import asyncio
import os
from collections.abc import Sequence
from typing import Any

import httpx
import pytest

from pointsman.contracts.chat import ChatRequest
from pointsman.executor.adapters.openai_compatible import Bounds, open_models
from pointsman.executor.domain.failures import ModelFailed
from pointsman.executor.domain.ports import ModelCall
from pointsman.executor.domain.reading import Chunk, Reading, has_token

from .doubles import a_model, body_of

BASE_URL = os.environ.get("VLLM_BASE_URL", "")
TIMEOUT_S = 120.0
pytestmark = pytest.mark.skipif(not BASE_URL, reason="VLLM_BASE_URL names no vLLM server")


@pytest.fixture
async def served() -> str:
    named = os.environ.get("VLLM_MODEL")
    if named:
        return named
    async with httpx.AsyncClient(timeout=TIMEOUT_S) as client:
        listed = await client.get(f"{BASE_URL.rstrip('/')}/models")
    return str(listed.json()["data"][0]["id"])


def ask(served: str, text: str = "Count from one to fifty, in words.", **fields: Any) -> ModelCall:
    message = {"role": "user", "content": text}
    request = ChatRequest.model_validate({"model": "auto", "messages": [message], **fields})
    body = body_of(request) | {"model": served}
    return ModelCall(model=a_model(BASE_URL), body=body, timeout_s=TIMEOUT_S)


async def chat(call: ModelCall) -> tuple[Reading, int]:
    reading = Reading(lambda: 0)
    pieces: list[str] = []

    def take(chunks: Sequence[Chunk]) -> None:
        pieces.append(reading.add(chunks))

    async with open_models(Bounds(), {}) as models:
        await models.chat(call, take)
    return reading, sum(bool(piece) for piece in pieces)


async def test_an_answer_is_streamed_and_its_tokens_are_counted(served: str) -> None:
    reading, pieces = await chat(ask(served, max_tokens=32, temperature=0))
    assert pieces > 1
    assert reading.has_finished
    assert reading.finish_reason == "length"
    assert not reading.tokens.is_estimated
    assert reading.tokens.output == 32


async def test_a_seeded_answer_is_repeated(served: str) -> None:
    call = ask(served, max_tokens=16, temperature=0, seed=1)
    assert (await chat(call))[0].text == (await chat(call))[0].text


async def test_a_model_it_does_not_serve_fails_and_another_may_do() -> None:
    with pytest.raises(ModelFailed) as failed:
        await chat(ask("nobody/serves-this"))
    assert failed.value.is_retryable


async def test_a_request_it_cannot_read_is_final(served: str) -> None:
    call = ask(served)
    call.body["messages"] = "not a list"
    with pytest.raises(ModelFailed) as failed:
        await chat(call)
    assert not failed.value.is_retryable


async def test_a_cancelled_call_ends_at_the_first_token(served: str) -> None:
    first = asyncio.Event()

    def take(chunks: Sequence[Chunk]) -> None:
        if any(map(has_token, chunks)):
            first.set()

    async with open_models(Bounds(), {}) as models:
        call = ask(served, max_tokens=512, temperature=0)
        running = asyncio.create_task(models.chat(call, take))
        await asyncio.wait_for(first.wait(), TIMEOUT_S)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
