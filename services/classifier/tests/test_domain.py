"""Which words are read, and what they say without a model."""

from typing import Any

import pytest

from pointsman.classifier.domain.features import features, urgency
from pointsman.classifier.domain.signals import read_signals
from pointsman.classifier.domain.wording import embedded_part, request_text

from .doubles import WordHashEmbedder, classify_command, known


@pytest.mark.parametrize(
    ("turns", "expected"),
    [
        (["What is the capital of France?"], "What is the capital of France?"),
        # A turn that stands alone leaves the topic before it behind.
        (["Tell me about whales please", "Now list my running pods"], "Now list my running pods"),
        # One that does not brings it along, newest first.
        (["Capital of France, please?", "And Spain?"], "And Spain?\nCapital of France, please?"),
        (["a", "b", "c", "d"], "d\nc\nb"),
        (["  ", "hello there my friend", " "], "hello there my friend"),
        ([" "], ""),
    ],
)  # fmt: skip
def test_the_last_turn_is_read_with_what_it_needs(turns: list[str], expected: str) -> None:
    assert request_text(classify_command(*turns).request) == expected


def test_other_roles_are_not_read() -> None:
    messages = [
        {"role": "system", "content": "You audit clusters."},
        {"role": "user", "content": "Say hello to the team"},
        {"role": "assistant", "content": "Hello"},
    ]
    assert request_text(classify_command(messages=messages).request) == "Say hello to the team"


def test_a_long_text_is_bounded_and_keeps_its_end() -> None:
    long = request_text(classify_command("log line. " * 100_000).request)
    assert len(long) == 8_000
    part = embedded_part("x" * 5_000 + "Find the root cause")
    assert len(part) <= 1_201
    assert part.endswith("Find the root cause")


@pytest.mark.parametrize(
    ("text", "field", "expected"),
    [
        ("Analyse and compare the designs", "reasoning", 3),
        ("Say hello", "reasoning", 0),
        ("Find the largest prime such that it divides 100", "problem", 2),
        ("Use at least two and at most five, without pauses", "constraints", 3),
        ("Check all clusters", "scope", 1),
        ("Which?\n(A) one\n(B) two\n(C) three", "options", 1),
        ("Which?\nA. one\nB. two", "options", 0),
        (r"Evaluate \int_0^1 x^2 = ?", "math", 3),
        ("def f(x): return x", "code", 2),
        ("NullPointerException after the upgrade", "code", 1),
        ("1, 2, 3.5, 4 and 5", "numbers", 4),
    ],
)
def test_a_feature_is_counted_up_to_its_cap(text: str, field: str, expected: int) -> None:
    assert getattr(features(text), field) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Production is down, fix it immediately", "high"),
        ("URGENT: my card was stolen", "high"),
        ("This is not urgent, whenever you have time", "low"),
        ("What is the capital of France?", "normal"),
        ("I sat down to read about a surgeon", "normal"),
    ],
)
def test_urgency_is_what_the_words_say(text: str, expected: str) -> None:
    assert urgency(text)[0] == expected


@pytest.mark.parametrize(("suspicious", "expected"), [(False, "safe"), (True, "suspicious")])
async def test_safety_is_what_the_safety_stage_said(suspicious: bool, expected: str) -> None:
    for text in ("Hello", ""):
        vector = await WordHashEmbedder().embed(text)
        assert read_signals(text, vector, known(), is_suspicious=suspicious).safety == expected


@pytest.mark.parametrize(
    "text",
    ["", " ", "?", "\x00", "日本語のテキスト", "𝕏" * 9000, "(" * 8000, "a\n" * 4000, "1" * 8000],
)
async def test_any_text_has_signals(text: str) -> None:
    request: dict[str, Any] = {"messages": [{"role": "user", "content": text}]}
    read = request_text(classify_command(**request).request)
    vector = await WordHashEmbedder().embed(read)
    first = read_signals(read, vector, known())
    assert first == read_signals(read, vector, known())
    assert set(first.confidence) <= set(type(first).model_fields)
