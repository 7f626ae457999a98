"""Which words are read, and what they say without a model."""

import re
import string
import sys
from time import process_time
from typing import Any

import numpy as np
import pytest

from pointsman.classifier.domain.features import features, folded, urgency
from pointsman.classifier.domain.ports import DIMENSIONS
from pointsman.classifier.domain.prototypes import PrototypeGroup, prototypes
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
        command = classify_command(text, suspicious=suspicious)
        found = read_signals(
            command.request, text, vector, known(), is_suspicious=command.is_suspicious
        )
        assert found.safety == expected


@pytest.mark.parametrize(
    "text",
    ["", " ", "?", "\x00", "日本語のテキスト", "𝕏" * 9000, "(" * 8000, "a\n" * 4000, "1" * 8000],
)
async def test_any_text_has_signals(text: str) -> None:
    request: dict[str, Any] = {"messages": [{"role": "user", "content": text}]}
    command = classify_command(**request)
    read = request_text(command.request)
    vector = await WordHashEmbedder().embed(read)
    first = read_signals(command.request, read, vector, known())
    assert first == read_signals(command.request, read, vector, known())
    assert set(first.confidence) <= set(type(first).model_fields)


@pytest.mark.parametrize("letter", string.ascii_lowercase)
def test_folded_text_shows_each_letter_where_ignoring_case_would(letter: str) -> None:
    every = "".join(map(chr, range(0x10000)))
    ignoring = [found.start() for found in re.finditer(letter, every, re.IGNORECASE)]
    assert [found.start() for found in re.finditer(letter, folded(every))] == ignoring


def test_folding_keeps_every_character_in_its_place_and_kind() -> None:
    every = [chr(code) for code in range(sys.maxunicode + 1)]
    assert len(folded("".join(every))) == len(every)
    changed = [one for one in every if re.match(r"\w", one) and not re.match(r"\w", folded(one))]
    assert changed == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("SKİP THE RUSH, FİX İT RİGHT NOW", "high"),
        ("aſ ſoon aſ poſſible", "high"),
        ("No Ruſh", "low"),
    ],
)
def test_letters_that_stand_for_others_are_read_as_those(text: str, expected: str) -> None:
    assert urgency(text)[0] == expected


def test_counting_ends_at_the_cap() -> None:
    assert features("1 " * 5_000).numbers == 4
    assert features("analyse the design " * 400).reasoning == 3


SLOW_TEXTS = ("\n", " ", "\n ", "\t", "a", "A", "1", "1.", "1 * ", "(", "{", "{ \n", "`", "a.b(",
              "A) ", "\nA) ", "x = ", "Err", "\\a", "e\u0301")  # fmt: skip


@pytest.mark.parametrize("text", SLOW_TEXTS)
def test_work_grows_with_the_text_and_not_with_its_square(text: str) -> None:
    """CPU time, which a busy machine does not change: linear work takes under 15 ms, and newlines
    took 2.5 s when each line's beginning looked through all that followed."""
    asked = "a" + (text * 20_000)[:20_000] + "b"

    started = process_time()
    features(asked)
    urgency(asked)

    assert process_time() - started < 0.25


def test_an_option_may_follow_blank_lines_and_spaces() -> None:
    assert features("Which?\n\n\n  A) one\n\n\u3000(B) two\n\t C. three").options == 1


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain words, nothing else", 0),
        ("run() fails with an Error", 2),
        ("a; b;\n", 1),
        (".f(", 1),
    ],
)
def test_code_is_counted_with_and_without_calls(text: str, expected: int) -> None:
    assert features(text).code == expected


def test_nearness_is_the_mean_of_the_nearest_three_of_each_kind() -> None:
    groups = [
        PrototypeGroup(domain="a", intent="simple", needs_tools=False, texts=("1", "2", "3", "4")),
        PrototypeGroup(domain="b", intent="complex", needs_tools=True, texts=("5", "6")),
        PrototypeGroup(domain="a", intent="complex", needs_tools=False, texts=("7",)),
    ]
    vectors = np.zeros((7, DIMENSIONS), dtype=np.float32)
    vectors[:, 0] = [0.1, 0.2, 0.3, 0.4, -0.5, 0.6, 0.7]
    vector = np.eye(1, DIMENSIONS, dtype=np.float32)[0]
    near = prototypes(groups, vectors).nearness(vector)
    assert near.domains == pytest.approx({"a": (0.3 + 0.4 + 0.7) / 3, "b": 0.05}, abs=1e-6)
    assert near.simple == pytest.approx(0.3, abs=1e-6)
    assert near.complex == pytest.approx((-0.5 + 0.6 + 0.7) / 3, abs=1e-6)
    assert near.with_tools == pytest.approx(0.05, abs=1e-6)
    assert near.without_tools == pytest.approx((0.3 + 0.4 + 0.7) / 3, abs=1e-6)
