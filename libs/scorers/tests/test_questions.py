"""What counts as options, and that signs stay in their bounds on odd text."""

import math

import pytest

from pointsman.scorers.questions import NAMES, options_of, question_signs

CHOICE = "Which of these is not prime?\n(A) 2\n(B) 3\n(C) 4"


def test_lettered_lines_are_options() -> None:
    assert options_of(CHOICE) == {"A": "2", "B": "3", "C": "4"}
    assert options_of("Pick.\nA. red\nB. blue\nAnswer:") == {"A": "red", "B": "blue"}


@pytest.mark.parametrize(
    "text",
    ["What is DNS?", "A. Smith wrote to B. Jones", "- A) one thing", "", "B. only\nC. these"],
)
def test_other_text_has_no_options(text: str) -> None:
    assert options_of(text) == {}


def test_signs_of_a_choice() -> None:
    signs = question_signs(CHOICE)

    assert (signs.options, signs.number_options, signs.has_negation, signs.asks_which) == (
        3,
        1,
        1,
        1,
    )
    assert signs.stem_words == math.log1p(6)


@pytest.mark.parametrize("text", ["", " ", "\x00", "é" * 50_000, "(A) \n(B) ", "1" * 9_000])
def test_odd_text_gives_finite_signs(text: str) -> None:
    values = question_signs(text).values

    assert len(values) == len(NAMES)
    assert all(math.isfinite(value) for value in values)
