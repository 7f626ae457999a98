"""What an answer comes to, and when two answers agree."""

import pytest

from pointsman.judge.domain.agreement import FinalAnswer, agreement_of, final_answer


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [
        ("We add them. The answer is (C).", "letter", "C"),
        ("So the answer is **D**.", "letter", "D"),
        ("Reasons.\n\nAnswer: B", "letter", "B"),
        ("(F)", "letter", "F"),
        ("Thus the answer is \\boxed{E}.", "letter", "E"),
        ("Hence $x = \\boxed{1,250}$.", "number", "1250"),
        ("The total is 12 apples.", "number", "12"),
        ("The answer is Paris.", "phrase", "paris"),
        ("42", "number", "42"),
        ("Paris.", "phrase", "paris"),
    ],
)
def test_what_an_answer_comes_to(text: str, kind: str, value: str) -> None:
    assert final_answer(text) == FinalAnswer(kind=kind, value=value)  # pyright: ignore[reportArgumentType] (a table of cases)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "...",
        "Sleep follows two rhythms, and both can be moved by light, by meals and by habit.",
        "It depends on A and B, and on what one wants to weigh, which I cannot tell from here.",
    ],
)
def test_many_answers_come_to_nothing_one_could_compare(text: str) -> None:
    assert final_answer(text) is None


def test_the_first_stated_letter_counts() -> None:
    text = "The answer is (A).\n\nQuestion: another\nThe answer is (B)."

    assert final_answer(text) == FinalAnswer(kind="letter", value="A")


def test_the_same_letter_agrees_whatever_the_words() -> None:
    found = agreement_of("The answer is (A).", "Long thought. Thus the answer is **A**.")

    assert (found.same_final, found.lacks_final) == (1, 0)


def test_numbers_agree_by_value() -> None:
    assert agreement_of("The result is 1,250.0 m", "The answer is 1250 m").same_final == 1
    assert agreement_of("The result is 1,250 m", "The answer is 1251 m").same_final == 0


def test_agreement_is_symmetric_and_a_missing_final_never_agrees() -> None:
    one, other = "So 3 of 7 remain, which is what was asked for in the long run of things.", ""

    assert agreement_of(one, other) == agreement_of(other, one)
    assert agreement_of("", "").same_final == 0
    assert agreement_of("", "").lacks_final == 1
