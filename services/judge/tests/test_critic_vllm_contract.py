"""The critic's structured output against a real vLLM, not its judgement, which is the model's.

VLLM_BASE_URL (with /v1); VLLM_MODEL or its first model; VLLM_CONTEXT_WINDOW or 8192.
"""

import os
from collections.abc import AsyncGenerator, Callable

import httpx
import pytest

from pointsman.contracts.chat import Answer, FunctionCall, ToolCall
from pointsman.contracts.messages import Judge
from pointsman.contracts.parts import Candidate
from pointsman.judge.adapters.critic import ModelCritic

from .critic_running import CRITIC, a_critic, within

MakeCommand = Callable[..., Judge]
BASE_URL = os.environ.get("VLLM_BASE_URL", "")
TIMEOUT_S = 120.0
QUESTION = "What is the capital of France, and on which river does it lie?"
RIGHT = "Paris is the capital of France; it lies on the Seine."
WRONG = "Berlin is the capital of France; it lies on the Nile."
pytestmark = pytest.mark.skipif(not BASE_URL, reason="VLLM_BASE_URL names no vLLM server")


@pytest.fixture
async def critic() -> AsyncGenerator[ModelCritic]:
    named = os.environ.get("VLLM_MODEL")
    if not named:
        async with httpx.AsyncClient(timeout=TIMEOUT_S) as client:
            listed = await client.get(f"{BASE_URL.rstrip('/')}/models")
        named = str(listed.json()["data"][0]["id"])
    window = int(os.environ.get("VLLM_CONTEXT_WINDOW", "8192"))
    async with a_critic(
        BASE_URL, served_name=named, context_window=window, timeout_s=TIMEOUT_S
    ) as opened:
        yield opened


async def test_a_review_has_the_form_asked_for_at_the_first_try(
    critic: ModelCritic, command: MakeCommand
) -> None:
    reviewed = await critic.review(within(command(QUESTION, RIGHT), TIMEOUT_S), model=CRITIC)
    assert reviewed.usage.model_calls == 1
    assert not reviewed.usage.estimated
    assert 0 <= reviewed.review.score <= 10


async def test_a_pair_and_a_plan_have_the_form_asked_for(
    critic: ModelCritic, command: MakeCommand
) -> None:
    other = Candidate(model="m", answer=Answer(text=WRONG))
    made = within(command(QUESTION, RIGHT), TIMEOUT_S)
    compared = await critic.compare(made, other, model=CRITIC)
    assert all(compared.comparison.reasons)
    assert compared.usage.model_calls == 2

    call = ToolCall(id="c", function=FunctionCall(name="delete_user", arguments='{"id": 7}'))
    planned = within(command(QUESTION, "", tool_calls=(call,)), TIMEOUT_S)
    reviewed = await critic.review_plan(planned, model=CRITIC)
    assert 0 <= reviewed.review.score <= 10
    assert reviewed.usage.model_calls == 1
