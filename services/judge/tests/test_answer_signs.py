"""Which signs an answer shows, and that odd text shows finite ones."""

import math

import pytest

from pointsman.judge.domain.answer_signs import NAMES, answer_signs

QUESTION = "A car goes 30 km in 2 h. How fast?\n(A) 10 km/h\n(B) 15 km/h\n(C) 60 km/h"


def test_the_chosen_option_is_compared_with_what_was_worked_out() -> None:
    fits = answer_signs(QUESTION, "We divide: 30 / 2 = 15. The answer is (B).")
    other = answer_signs(QUESTION, "We divide: 30 / 2 = 15. The answer is (C).")

    assert (fits.number_reached, fits.number_nearest) == (1, 1)
    assert (other.number_reached, other.number_nearest) == (0, 0)
    assert other.number_difference > fits.number_difference == 0


def test_wrong_sums_are_counted() -> None:
    found = answer_signs("?", "First 2 + 2 = 5, then 3 * 4 = 12, and 1 / 3 = 0.33.")

    assert (found.has_sums, found.wrong_sums) == (1, 1)
    assert found.wrong_sum_share == pytest.approx(1 / 3)


def test_doubt_and_second_thoughts_are_counted() -> None:
    found = answer_signs("?", "Probably not given. However, it seems the closest. Wait, a mistake.")

    assert found.doubts >= 3
    assert found.turns >= 2


def test_a_loop_has_little_variety() -> None:
    loop = answer_signs(QUESTION, "The speed is then given by the ratio. " * 150)
    prose = answer_signs(QUESTION, "Thirty kilometres in two hours are fifteen in one. Answer: B")

    assert loop.is_runaway == 1
    assert loop.variety < 0.1 < prose.variety


def test_words_of_the_chosen_option_support_it() -> None:
    question = "Why do leaves fall?\n(A) Loss of water\n(B) Abscission layer forms"
    found = answer_signs(question, "An abscission layer forms at the stem. The answer is (B).")

    assert (found.chosen_support, found.chosen_is_best_supported, found.chosen_is_quoted) == (
        1,
        1,
        1,
    )


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("", ""),
        (QUESTION, "\x00"),
        (QUESTION, "1" * 20_000),
        (QUESTION, "1e999 + 9" * 900),
        ("(A) 0\n(B) 0", "0 / 0 = 0. The answer is (A)."),
        ("(A) 1e400\n(B) 2", "The value is 1e308 and -1e308. The answer is (B)."),
        ("Wie geht es dir?", "Ganz gut, danke – und dir? 😀" * 300),
    ],
)
def test_odd_text_shows_finite_signs(question: str, answer: str) -> None:
    values = answer_signs(question, answer).values

    assert len(values) == len(NAMES)
    assert all(math.isfinite(value) for value in values)
