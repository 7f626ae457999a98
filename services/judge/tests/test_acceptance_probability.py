"""The shipped acceptance scorer: its file, its bounds, and that it moves the right way."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

import pointsman.judge
from pointsman.judge.domain.acceptance import INPUTS, Acceptance, Sibling, inputs_of
from pointsman.judge.domain.agreement import agreement_of
from pointsman.judge.domain.answer_signs import answer_signs
from pointsman.scorers.scorer_file import read_scorer

WEIGHTS = Path(str(pointsman.judge.__file__)).parent / "weights" / "acceptance.npz"

QUESTION = (
    "A car covers 30 km in 2 h at a constant rate. What is its speed in km/h?\n"
    "(A) 10\n(B) 15\n(C) 60\n(D) 32"
)
GOOD = "Let's think step by step. 30 km in 2 h gives 30 / 2 = 15 km/h. The answer is (B)."
OTHER = "Let's think step by step. The speed is 30 * 2 = 60. The answer is (C)."


@dataclass(frozen=True)
class Expected:
    """A gain as the classifier would tell it."""

    weak: float
    strong: float = 0.9


CHAT = {
    "capital": ("What is the capital of France?", "The capital of France is Paris."),
    "joke": ("Tell me a joke", "Why did the scarecrow win? He was outstanding in his field."),
    "tips": (
        "Give me three tips for better sleep.",
        "Go to bed at the same time each day. Keep the bedroom cool and dark. Leave your phone"
        " in another room.",
    ),
    "rewrite": (
        "Rewrite this politely: send me the file now",
        "Could you please send me the file when you have a moment? Thank you.",
    ),
}


@pytest.fixture(scope="module")
def acceptance() -> Acceptance:
    return Acceptance.from_arrays(read_scorer(WEIGHTS))


@pytest.mark.parametrize("name", CHAT)
def test_an_everyday_answer_is_probably_acceptable(acceptance: Acceptance, name: str) -> None:
    assert acceptance.probability(answer_signs(*CHAT[name])) > 0.75


def test_agreement_raises_and_contradiction_lowers(acceptance: Acceptance) -> None:
    signs = answer_signs(QUESTION, GOOD)

    def beside(other: str) -> float:
        sibling = Sibling(signs=answer_signs(QUESTION, other), agreement=agreement_of(GOOD, other))
        return acceptance.probability(signs, agreement=sibling)

    assert beside(GOOD) > acceptance.probability(signs) > beside(OTHER)


def test_a_harder_request_lowers_it(acceptance: Acceptance) -> None:
    signs = answer_signs(QUESTION, GOOD)
    easy, hard = Expected(0.95), Expected(0.1)

    assert acceptance.probability(signs, gain=easy) > acceptance.probability(signs, gain=hard)


def test_a_loop_that_comes_to_no_option_is_less_acceptable(acceptance: Acceptance) -> None:
    # As long as the executor lets it become.
    loop = "The speed is then given by the ratio of the distance. " * 30
    good, looping = (
        acceptance.probability(answer_signs(QUESTION, answer)) for answer in (GOOD, loop)
    )

    assert looping < good / 2


def test_an_open_sibling_without_a_final_answer_says_nothing(acceptance: Acceptance) -> None:
    question, answer = CHAT["tips"]
    other = "Avoid coffee after noon. Take a walk in the evening. Read something on paper."
    sibling = Sibling(signs=answer_signs(question, other), agreement=agreement_of(answer, other))
    signs = answer_signs(question, answer)

    assert acceptance.probability(signs, agreement=sibling) == acceptance.probability(signs)


@pytest.mark.parametrize(("question", "answer"), [("", ""), (QUESTION, ""), ("é" * 9_000, "\x00")])
def test_odd_text_has_a_probability(acceptance: Acceptance, question: str, answer: str) -> None:
    assert 0 < acceptance.probability(answer_signs(question, answer)) < 1


def test_what_is_not_asked_for_is_missing() -> None:
    signs = answer_signs(QUESTION, GOOD)
    alone = inputs_of(signs)

    assert alone.shape == (len(INPUTS),)
    assert np.isnan(alone).sum() == len(INPUTS) - len(signs.question.values) - len(signs.values)


def test_more_siblings_than_are_looked_at_are_refused() -> None:
    signs = answer_signs(QUESTION, GOOD)
    sibling = Sibling(signs=signs, agreement=agreement_of(GOOD, GOOD))

    with pytest.raises(ValueError, match="at most 2"):
        inputs_of(signs, sibling, sibling, sibling)


def test_weights_of_other_inputs_are_refused(acceptance: Acceptance) -> None:
    with pytest.raises(ValueError, match="weights of 3 inputs"):
        Acceptance.from_arrays(acceptance.arrays() | {"inputs": np.array(3)})


def test_the_file_is_small() -> None:
    assert WEIGHTS.stat().st_size < 300_000
