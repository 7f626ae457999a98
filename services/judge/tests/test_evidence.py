"""What an answer takes from its source, and which of an answer's words make it risky."""

import time

import numpy as np
import pytest

from pointsman.judge.adapters import load_heads
from pointsman.judge.domain.claims import BUCKETS, NAMES, claim_signs, word_buckets
from pointsman.judge.domain.evidence import evidence_of
from pointsman.judge.domain.sources import source_of
from pointsman.judge.domain.support import Support, grounded_inputs, probability, word_inputs

SOURCE = (
    "The Harlow bridge opened in 1931 and carries 40,000 vehicles a day. It was designed by Ada"
    " Merrow. The tunnel beside it was closed in 1987 after a flood."
)
QUESTION = "When did the Harlow bridge open?"
FILLER = "It carries a lot of traffic through the old harbour every day of the week."


def test_copied_words_are_supported_and_new_ones_are_not() -> None:
    copied = evidence_of(QUESTION, SOURCE, "The Harlow bridge opened in 1931.")
    invented = evidence_of(QUESTION, SOURCE, "King Oswald unveiled a granite aqueduct in 1847.")

    assert (copied.missing_words, copied.missing_numbers, copied.longest_gap) == (0, 0, 0)
    assert copied.best_sentence == 1
    assert copied.copied_run > 0.8
    assert invented.missing_words > 0.8
    assert invented.missing_numbers == 1
    assert invented.novel_names == 1
    assert invented.longest_gap > copied.longest_gap


def test_a_claim_made_of_two_sentences_is_told_from_one_of_one() -> None:
    joined = evidence_of(QUESTION, SOURCE, "The tunnel carries 40,000 vehicles, Ada Merrow said.")

    assert joined.split_claims == 1
    assert joined.best_sentence < 1


def test_a_denial_that_the_source_lacks_is_seen() -> None:
    assert evidence_of(QUESTION, SOURCE, "The bridge was not opened.").negation_differs == 1
    assert evidence_of(QUESTION, SOURCE, "The bridge was opened.").negation_differs == 0


def test_words_of_the_question_are_no_evidence_but_no_news_either() -> None:
    found = evidence_of("Is the zeppelin at Harlow?", SOURCE, "The zeppelin is at Harlow.")

    assert found.missing_words > 0
    assert found.novel_words == 0


@pytest.mark.parametrize("answer", ["", "???", "x" * 500_000, "Harlow. " * 60_000, "1,2." * 90_000])
def test_anything_is_compared_in_bounded_time(answer: str) -> None:
    started = time.process_time()
    found = evidence_of(QUESTION * 2_000, SOURCE * 3_000, answer)

    assert time.process_time() - started < 2
    assert all(np.isfinite(found.values))


def test_claim_signs_are_named_finite_and_in_order() -> None:
    signs = dict(
        zip(NAMES, claim_signs("Write a list", "- one\n- two\n\nSee http://x"), strict=True)
    )

    assert (signs["asks_text"], signs["asks_list"], signs["links"]) == (1, 1, 1)
    assert signs["asks_sums"] == 0
    assert signs["items"] > 0


def test_words_are_hashed_alike_in_every_process_and_count_once() -> None:
    once, weight = word_buckets("Bridges carry vehicles")
    often, _ = word_buckets("vehicles carry bridges " * 9)

    assert sorted(once) == sorted(often)
    assert weight == pytest.approx(3**-0.5)
    assert all(0 <= bucket < BUCKETS for bucket in once)
    assert sorted(once) == [278, 386, 464]


def test_the_shipped_head_tells_supported_from_invented() -> None:
    support = load_heads().support

    kept = support.unsupported_by(QUESTION, SOURCE, "It opened in 1931.")
    made_up = support.unsupported_by(
        QUESTION, SOURCE, "I think it was opened by a famous queen, who loved it very much!"
    )

    assert probability(kept) < 0.4
    assert probability(made_up) > 0.8


def test_the_heads_survive_their_file_and_apply_as_they_were_fitted() -> None:
    support = load_heads().support
    copy = Support.from_arrays(support.arrays())
    inputs = np.array(claim_signs(QUESTION, FILLER))
    whole = float(
        support.claims.weights @ inputs
        + support.claims.bias
        + support.words.ravel() @ word_inputs(QUESTION, FILLER)
    )

    assert copy.unsupported_alone(QUESTION, FILLER) == pytest.approx(whole)
    assert copy.grounded.log_odds(grounded_inputs(QUESTION, SOURCE, FILLER)) == pytest.approx(
        support.unsupported_by(QUESTION, SOURCE, FILLER)
    )


def test_weights_for_other_inputs_are_refused() -> None:
    arrays = load_heads().support.arrays()

    with pytest.raises(ValueError, match="shapes"):
        Support.from_arrays({**arrays, "claims": arrays["claims"][1:]})
    with pytest.raises(KeyError):
        Support.from_arrays({"claims": arrays["claims"]})


def test_results_of_tools_are_a_source_before_anything_else() -> None:
    found = source_of(QUESTION, QUESTION, ("", '{"opened": 1931}'))

    assert found is not None
    assert (found.text, found.question, found.is_results) == ('{"opened": 1931}', QUESTION, True)


@pytest.mark.parametrize(
    "request_text",
    [
        f"Answer according to this text.\nContext: {SOURCE}\n\n{QUESTION}",
        f"{QUESTION}\n\nContext: {SOURCE}",
        f"Context: {SOURCE}\n{QUESTION}",
    ],
)
def test_a_text_in_the_request_is_parted_from_the_question(request_text: str) -> None:
    found = source_of(request_text, request_text, ())

    assert found is not None
    assert found.question == QUESTION
    assert SOURCE in found.text
    assert QUESTION not in found.text


def test_a_text_in_an_earlier_message_is_a_source() -> None:
    found = source_of(QUESTION, f"Answer from the following document: {SOURCE}\n{QUESTION}", ())

    assert found is not None
    assert found.question == QUESTION
    assert "1931" in found.text


@pytest.mark.parametrize("prompt", [QUESTION, f"{FILLER} {FILLER} {FILLER}", "Context: none"])
def test_a_request_without_a_text_has_no_source(prompt: str) -> None:
    assert source_of(prompt, prompt, ()) is None
