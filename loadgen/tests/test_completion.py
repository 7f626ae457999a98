import json
import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import jsonschema
import pytest

from pointsman.contracts.chat import ChatRequest
from pointsman.loadgen.asks import content_words, parse
from pointsman.loadgen.completion import take_turn
from pointsman.loadgen.profiles import BIG, SMALL, Profile
from pointsman.loadgen.scenarios import load_scenarios
from pointsman.routes.registry import ModelRegistry

Ask = Callable[..., ChatRequest]
TEA = "List three benefits of green tea, explain how to brew it, and tell me when not to drink it."
PROFILES = [pytest.param(SMALL, id="small"), pytest.param(BIG, id="big")]


@pytest.mark.parametrize("profile", PROFILES)
def test_same_request_gets_the_same_answer(ask: Ask, profile: Profile) -> None:
    assert take_turn(ask(TEA), profile) == take_turn(ask(TEA), profile)


def test_seed_changes_the_words_but_not_the_id_of_the_model(ask: Ask) -> None:
    request = ask("How do bees make honey?")
    turns = {take_turn(request, BIG, seed=seed).text for seed in range(6)}
    assert len(turns) > 1


def test_big_model_answers_every_part(ask: Ask) -> None:
    text = take_turn(ask(TEA), BIG).text.lower()
    assert {"benefits", "green", "tea", "brew", "drink"} <= set(re.findall(r"[a-z]+", text))
    assert text.count("\n- ") == 3


def test_small_model_answers_only_the_first_part(ask: Ask) -> None:
    text = take_turn(ask(TEA), SMALL).text.lower()
    assert text.count("\n- ") == 3
    assert "brew" not in text
    assert "drink" not in text


def test_answers_take_up_the_content_words_of_single_requests(ask: Ask) -> None:
    for request in load_scenarios().requests:
        if request.group in {"multi_part", "attack"} or len(parse(request.prompt).asks) > 1:
            continue
        said = take_turn(ask(request.prompt), SMALL).text.lower()
        words = {word.lower() for word in content_words(request.prompt)}
        missing = {word for word in words if word not in said}
        assert len(missing) <= len(words) // 3, (request.prompt, missing)


def test_answers_state_no_number_that_the_request_does_not_hold(ask: Ask) -> None:
    for request in load_scenarios().requests:
        said = take_turn(ask(request.prompt), BIG).text
        assert set(re.findall(r"\d+", said)) <= set(re.findall(r"\d+", request.prompt))


def test_password_request_costs_near_the_talks_figure(ask: Ask, registry: ModelRegistry) -> None:
    turn = take_turn(ask("Change my account password"), SMALL)
    cost = registry.resolve(SMALL.model).cost_usd(
        input_tokens=turn.input_tokens, output_tokens=turn.output_tokens
    )
    assert abs(cost - Decimal("0.0002")) <= Decimal("0.00007")


def test_reasoning_tokens_count_as_output(ask: Ask) -> None:
    turn = take_turn(ask("Why is the sky blue?"), BIG)
    assert turn.reasoning_tokens == BIG.reasoning_tokens
    assert turn.output_tokens > turn.reasoning_tokens


@pytest.mark.parametrize("profile", PROFILES)
def test_token_limit_cuts_the_answer_and_says_so(ask: Ask, profile: Profile) -> None:
    turn = take_turn(ask("Why is the sky blue?", max_tokens=5), profile)
    assert turn.finish_reason == "length"
    assert turn.output_tokens - turn.reasoning_tokens == 5


def test_stop_sequence_ends_the_answer(ask: Ask) -> None:
    whole = take_turn(ask("Why is the sky blue?"), SMALL).text
    assert take_turn(ask("Why is the sky blue?", stop="sky"), SMALL).text == whole.split("sky")[0]


SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["city", "days", "stops", "kind", "when", "guide"],
    "additionalProperties": False,
    "properties": {
        "city": {"type": "string", "minLength": 3},
        "days": {"type": "integer", "minimum": 1, "maximum": 9},
        "stops": {"type": "array", "minItems": 2, "items": {"$ref": "#/$defs/stop"}},
        "kind": {"enum": ["rail", "road"]},
        "when": {"type": "string", "format": "date"},
        "guide": {"anyOf": [{"type": "boolean"}, {"type": "null"}]},
    },
    "$defs": {
        "stop": {
            "type": "object",
            "required": ["name"],
            "properties": {"name": {"type": ["string", "null"]}, "cost": {"type": "number"}},
        }
    },
}


@pytest.mark.parametrize("profile", PROFILES)
def test_json_schema_is_followed(ask: Ask, profile: Profile) -> None:
    response_format = {"type": "json_schema", "json_schema": {"name": "trip", "schema": SCHEMA}}
    turn = take_turn(ask("Plan a road trip from Vienna", response_format=response_format), profile)
    data = json.loads(turn.text)
    jsonschema.validate(data, SCHEMA)
    assert data["kind"] == "road"


@pytest.mark.parametrize(
    "fields", [{"response_format": {"type": "json_object"}}, {}], ids=["format", "words"]
)
def test_json_object_is_given_when_asked(ask: Ask, fields: dict[str, Any]) -> None:
    turn = take_turn(ask("Give me the planets as JSON", **fields), BIG)
    assert isinstance(json.loads(turn.text), dict)


def test_critique_does_not_replace_the_request(ask: Ask) -> None:
    request = ChatRequest.model_validate(
        {
            "model": BIG.model,
            "messages": [
                {"role": "system", "content": "A reviewer said: parts are missing."},
                {"role": "user", "content": TEA},
                {"role": "assistant", "content": "Green tea is nice."},
                {"role": "user", "content": "A critique of your earlier answer: brew is missing."},
            ],
        }
    )
    assert "brew" in take_turn(request, BIG).text
    assert "drink" in take_turn(request, BIG).text
