"""A model as critic, over HTTP: its review and price, and replies that are none."""

import json
from collections.abc import AsyncGenerator, Callable
from decimal import Decimal

import pytest
from pydantic import SecretStr

from pointsman.contracts.chat import Answer
from pointsman.contracts.messages import Judge
from pointsman.contracts.parts import Candidate
from pointsman.judge.domain.rubric import ANSWER, PAIR_NAME, PLAN, CriticFailed

from .critic_backend import (
    Backend,
    chooses,
    fails,
    running_backend,
    says,
)
from .critic_running import ANSWERED, CRITIC, GOOD, QUESTION, a_critic, failure, paid, within

MakeCommand = Callable[..., Judge]
TOO_MUCH = GOOD | {"accuracy": {"reason": "The marmoset is wrong.", "score": 4}}
PLAN_GOOD = {one.name: {"reason": "r", "score": one.best} for one in PLAN.criteria}


@pytest.fixture
async def backend() -> AsyncGenerator[Backend]:
    async with running_backend() as server:
        yield server


@pytest.fixture
def made(command: MakeCommand) -> Judge:
    return within(command(QUESTION, ANSWERED), 30)


async def test_a_review_comes_with_its_price(backend: Backend, made: Judge) -> None:
    backend.will(says(json.dumps(GOOD)))
    async with a_critic(backend.url) as critic:
        reviewed = await critic.review(made, model=CRITIC)

    assert (reviewed.review.score, reviewed.review.probability) == (9, 0.69)
    assert reviewed.review.critique == "Accuracy: The marmoset is wrong."
    assert reviewed.clipped == ()
    usage = reviewed.usage
    assert (usage.model, usage.model_calls, usage.estimated) == (CRITIC, 1, False)
    assert (usage.input_tokens, usage.output_tokens) == (100, 20)
    assert usage.cost_usd == Decimal("0.0003")


async def test_what_is_sent_is_bounded_and_the_same_each_time(
    backend: Backend, made: Judge
) -> None:
    backend.will(says(json.dumps(GOOD)))
    async with a_critic(backend.url) as critic:
        for _ in range(2):
            await critic.review(made, model="reviewer")

    first, second = backend.asked
    assert first == second
    assert {name: first[name] for name in ("model", "temperature", "seed", "max_tokens")} == {
        "model": "served",
        "temperature": 0,
        "seed": 0,
        "max_tokens": 800,
    }
    assert first["response_format"]["json_schema"]["name"] == ANSWER.name
    assert not first.get("stream")
    assert backend.keys == [None, None]
    assert len(backend.ports) == 1  # one connection, kept


async def test_the_key_of_the_model_is_sent(backend: Backend, made: Judge) -> None:
    backend.will(says(json.dumps(GOOD)))
    keys = {CRITIC: SecretStr("k1")}
    async with a_critic(backend.url, keys=keys, api_key_env="CRITIC_KEY") as critic:
        await critic.review(made, model=CRITIC)
    assert backend.keys == ["Bearer k1"]


async def test_a_plan_is_reviewed_with_its_own_rubric(backend: Backend, made: Judge) -> None:
    backend.will(says(json.dumps(PLAN_GOOD)))
    async with a_critic(backend.url) as critic:
        reviewed = await critic.review_plan(made, model=CRITIC)
    assert reviewed.review.score == 10
    assert [mark.name for mark in reviewed.review.marks] == list(PLAN_GOOD)
    assert backend.asked[0]["response_format"]["json_schema"]["name"] == PLAN.name


# --- pairs ---------------------------------------------------------------------------------------

OTHER = Candidate(model="m", answer=Answer(text="A swimming marmoset."))


def prefers(text: str) -> Callable[[str], str]:
    """Prefer the answer that holds ``text``, wherever it stands."""

    def choose(asked: str) -> str:
        is_first = text in asked.partition("<<<ANSWER B")[0].partition("<<<ANSWER A")[2]
        return json.dumps({"reason": "r", "better": "A" if is_first else "B"})

    return choose


def always(letter: str) -> Callable[[str], str]:
    return lambda _: json.dumps({"reason": "r", "better": letter})


@pytest.mark.parametrize(
    ("choose", "preferred", "is_stable"),
    [
        (prefers("group"), "first", True),
        (prefers("swimming"), "second", True),
        (always("A"), "tie", False),
        (always("B"), "tie", False),
        (always("tie"), "tie", True),
    ],
    ids=["the first", "the second", "whatever is A", "whatever is B", "neither"],
)
async def test_a_pair_is_asked_in_both_orders(
    backend: Backend, made: Judge, choose: Callable[[str], str], preferred: str, is_stable: bool
) -> None:
    backend.will(chooses(choose))
    async with a_critic(backend.url) as critic:
        compared = await critic.compare(made, OTHER, model=CRITIC)

    assert (compared.comparison.preferred, compared.comparison.is_stable) == (preferred, is_stable)
    assert (compared.usage.model_calls, compared.usage.input_tokens) == (2, 200)
    assert {asked["response_format"]["json_schema"]["name"] for asked in backend.asked} == {
        PAIR_NAME
    }


async def test_a_pair_of_which_one_order_fails_has_no_preference(
    backend: Backend, made: Judge
) -> None:
    backend.will(says('{"reason": "r", "better": "A"}'), fails(500))
    async with a_critic(backend.url) as critic:
        with pytest.raises(CriticFailed, match="status 500") as failed:
            await critic.compare(made, OTHER, model=CRITIC)
    usage = failed.value.usage
    assert usage is not None
    assert usage.model_calls == 1


# --- replies that cannot be read -----------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [f"Sure!\n```json\n{json.dumps(GOOD)}\n```\nAnything else?", f"  {json.dumps(GOOD)}\n"],
    ids=["words around it", "white space around it"],
)
async def test_words_around_the_json_do_not_matter(
    backend: Backend, made: Judge, text: str
) -> None:
    backend.will(says(text))
    async with a_critic(backend.url) as critic:
        assert (await critic.review(made, model=CRITIC)).review.score == 9
    assert len(backend.asked) == 1


@pytest.mark.parametrize(
    "bad", ['{"accuracy": ', "Nine out of ten.", json.dumps(TOO_MUCH)], ids=["cut", "words", "4/3"]
)
async def test_an_unreadable_reply_may_be_repaired_once(
    backend: Backend, made: Judge, bad: str
) -> None:
    backend.will(says(bad), says(json.dumps(GOOD)))
    async with a_critic(backend.url) as critic:
        reviewed = await critic.review(made, model=CRITIC)

    assert reviewed.review.score == 9
    assert (reviewed.usage.model_calls, reviewed.usage.output_tokens) == (2, 40)
    assert [message["role"] for message in backend.asked[1]["messages"]] == [
        "system",
        "user",
        "assistant",
        "user",
    ]


@pytest.mark.parametrize(
    "bad", ["Nine out of ten.", json.dumps(TOO_MUCH), "{" * 10_000], ids=["words", "4/3", "braces"]
)
async def test_a_second_unreadable_reply_is_a_failure_and_is_paid(
    backend: Backend, made: Judge, bad: str
) -> None:
    backend.will(says(bad))
    failed = await failure(backend.url, made)

    assert failed.reason == "no readable review"
    assert len(backend.asked) == 2
    assert (paid(failed).model_calls, paid(failed).cost_usd) == (2, Decimal("0.0006"))


@pytest.mark.parametrize("text", [None, "", " \n"])
async def test_an_empty_reply_is_not_repaired(
    backend: Backend, made: Judge, text: str | None
) -> None:
    """A model that refuses says nothing, or says it elsewhere."""
    backend.will(says(text))
    failed = await failure(backend.url, made)
    assert failed.reason == "an empty reply"
    assert len(backend.asked) == paid(failed).model_calls == 1


async def test_tokens_are_estimated_where_the_backend_counts_none(
    backend: Backend, made: Judge
) -> None:
    backend.will(says(json.dumps(GOOD), usage=None))
    async with a_critic(backend.url) as critic:
        usage = (await critic.review(made, model=CRITIC)).usage
    said = sum(len(message["content"]) for message in backend.asked[0]["messages"])
    assert usage.estimated
    assert usage.input_tokens == -(-said // 4)
    assert usage.output_tokens == -(-len(json.dumps(GOOD)) // 4)
