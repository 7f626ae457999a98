"""What counts as a critic's reply, and what the score is then."""

import json
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import jsonschema
import pytest

from pointsman.contracts.messages import Judge
from pointsman.judge.domain.critic_reply import (
    MAX_REASON_CHARS,
    MAX_REPLY_CHARS,
    REPLIES,
    Unreadable,
    read_preference,
    read_review,
    settled,
)
from pointsman.judge.domain.rubric import (
    ANSWER,
    CAP,
    PAIR_SCHEMA,
    PLAN,
    UNFITTED,
    Calibration,
    Rubric,
)
from pointsman.judge.domain.verdict import probability_of

MakeCommand = Callable[..., Judge]
QUESTION = "What is a pod, and who schedules it?"


def an_answer_reply(*scores: int, is_fulfilled: object = True, reason: object = "r") -> Any:
    names = [one.name for one in ANSWER.criteria]
    marks = zip(names, scores or (3, 3, 2, 2), strict=True)
    items = {name: {"reason": reason, "score": score} for name, score in marks}
    return items | {"is_fulfilled": is_fulfilled}


def a_plan_reply(*scores: int) -> Any:
    names = [one.name for one in PLAN.criteria]
    return {n: {"reason": "r", "score": s} for n, s in zip(names, scores, strict=True)}


# --- the score -----------------------------------------------------------------------------------


@pytest.mark.parametrize("rubric", [ANSWER, PLAN], ids=lambda rubric: rubric.name)
def test_a_rubric_is_worth_ten_and_its_schema_asks_what_its_reader_reads(rubric: Rubric) -> None:
    jsonschema.Draft202012Validator.check_schema(rubric.schema)
    assert sum(one.best for one in rubric.criteria) == 10
    assert set(rubric.schema["required"]) == set(REPLIES[rubric.name].model_fields)
    for one in rubric.criteria:
        best = {name: {"reason": "", "score": 0} for name in rubric.schema["properties"]}
        if rubric.condition is not None:
            best[rubric.condition] = True  # pyright: ignore[reportArgumentType] (a reply's JSON)
        best[one.name]["score"] = one.best
        jsonschema.validate(best, rubric.schema)
        read_review(rubric, json.dumps(best))
        best[one.name]["score"] = one.best + 1
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(best, rubric.schema)
        with pytest.raises(Unreadable):
            read_review(rubric, json.dumps(best))


@pytest.mark.parametrize(
    ("scores", "is_fulfilled", "score", "is_capped"),
    [
        ((3, 3, 2, 2), True, 10, False),
        ((2, 3, 2, 1), True, 8, False),
        ((3, 3, 2, 2), False, CAP, True),
        ((0, 3, 2, 2), True, CAP, True),
        ((3, 0, 2, 2), True, CAP, True),
        ((1, 1, 0, 1), False, 3, False),
        ((0, 0, 0, 0), False, 0, False),
        ((3, 3, 0, 0), True, 6, False),
    ],
)
def test_the_score_is_the_sum_and_an_unfulfilled_request_is_capped(
    scores: tuple[int, ...], is_fulfilled: bool, score: float, is_capped: bool
) -> None:
    reply = an_answer_reply(*scores, is_fulfilled=is_fulfilled)
    review = read_review(ANSWER, json.dumps(reply))
    assert (review.score, review.is_capped) == (score, is_capped)
    assert review.probability == UNFITTED.probability(score)


@pytest.mark.parametrize(
    ("scores", "score"),
    [((2, 3, 3, 2), 10), ((1, 3, 3, 2), 9), ((2, 3, 3, 0), CAP), ((2, 3, 0, 2), CAP)],
    ids=["good", "one call too many", "an unasked change", "invented arguments"],
)
def test_a_plan_that_changes_what_nobody_asked_for_is_capped(
    scores: tuple[int, ...], score: float
) -> None:
    assert read_review(PLAN, json.dumps(a_plan_reply(*scores))).score == score


def test_checks_hold_names_and_numbers_and_the_critique_says_what_lost_points() -> None:
    reply = an_answer_reply(2, 3, 2, 0)
    reply["accuracy"]["reason"] = "The year is wrong."
    reply["completeness"]["reason"] = "All there."
    reply["clarity"]["reason"] = "It repeats itself."
    review = read_review(ANSWER, json.dumps(reply))
    assert review.critique == "Accuracy: The year is wrong. Clarity: It repeats itself."
    assert [(c.name, c.passed, c.penalty) for c in review.checks] == [
        ("critic_accuracy", False, 1),
        ("critic_completeness", True, 0),
        ("critic_relevance", True, 0),
        ("critic_clarity", False, 2),
    ]


def test_an_unfitted_score_means_what_it_means_to_a_route() -> None:
    chances = [UNFITTED.probability(score / 4) for score in range(41)]
    assert all(low < high for low, high in pairwise(chances))
    assert (chances[0], chances[-1]) == (0.02, 0.95)
    for score in (2, 4, 5, 6, 7, 8, 9):
        assert UNFITTED.probability(score) == pytest.approx(probability_of(score), abs=0.005)


def test_a_fitted_table_is_interpolated() -> None:
    fitted = Calibration(knots=((0, 0.1), (4, 0.1), (8, 0.5), (10, 0.9)))
    asked = (0, 2, 4, 6, 8, 9, 10)
    assert [fitted.probability(score) for score in asked] == pytest.approx(
        [0.1, 0.1, 0.1, 0.3, 0.5, 0.7, 0.9]
    )


@pytest.mark.parametrize(
    "knots",
    [
        (),
        ((0, 0.5),),
        ((1, 0.1), (10, 0.9)),
        ((0, 0.1), (9, 0.9)),
        ((0, 0.5), (5, 0.4), (10, 0.9)),
        ((0, 0.1), (5, 0.2), (5, 0.3), (10, 0.9)),
        ((0, 0.1), (10, 1.1)),
        ((0, float("nan")), (10, 0.9)),
    ],
)
def test_a_table_that_falls_or_leaves_its_range_is_refused(knots: Any) -> None:
    with pytest.raises(ValueError):
        Calibration(knots=knots)


# --- replies -------------------------------------------------------------------------------------

GOOD = json.dumps(an_answer_reply())


@pytest.mark.parametrize(
    "text",
    [
        GOOD,
        f"```json\n{GOOD}\n```",
        f"Here is my review {{as asked}}:\n{GOOD}\nI hope this helps.",
        f"<think>maybe {json.dumps(an_answer_reply(0, 0, 0, 0))}</think>{GOOD}",
        f"{GOOD}\n{GOOD}",
        GOOD[:-1] + ', "note": "more than asked"}',
    ],
    ids=["bare", "fenced", "words around", "thoughts", "twice the same", "one field more"],
)
def test_a_review_is_found_whatever_is_around_it(text: str) -> None:
    assert read_review(ANSWER, text).score == 10


def changed(**fields: Any) -> str:
    return json.dumps(an_answer_reply() | fields)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "The answer deserves full marks.",
        GOOD[: len(GOOD) // 2],
        GOOD + json.dumps(an_answer_reply(0, 0, 0, 0)),
        "{" * 10_000,
        "{ " * 8 + GOOD,
        " " * MAX_REPLY_CHARS + GOOD,
        '{"a":' * 5_000,
        f"[{changed(accuracy=None)}]",
        changed(accuracy={"reason": "r", "score": 4}),
        changed(accuracy={"reason": "r", "score": -1}),
        changed(clarity={"reason": "r", "score": 3}),
        changed(accuracy={"reason": "r", "score": "3"}),
        changed(accuracy={"reason": "r", "score": 2.5}),
        changed(accuracy={"reason": "r", "score": True}),
        changed(accuracy={"reason": "r", "score": float("nan")}),
        changed(accuracy={"reason": "r", "score": 10**400}),
        changed(accuracy={"score": 3}),
        changed(accuracy={"reason": ["r"], "score": 3}),
        changed(accuracy=3),
        changed(is_fulfilled="yes"),
        changed(is_fulfilled=None),
    ],
    ids=range(22),
)
def test_anything_else_is_no_review(text: str) -> None:
    with pytest.raises(Unreadable):
        read_review(ANSWER, text)


def test_what_is_wrong_with_a_reply_is_said_without_its_words() -> None:
    with pytest.raises(Unreadable) as unread:
        read_review(ANSWER, changed(accuracy={"reason": "secret", "score": "secret"}))
    assert "accuracy.score" in unread.value.problem
    assert "secret" not in str(unread.value)


def test_a_long_reason_is_shortened() -> None:
    review = read_review(ANSWER, json.dumps(an_answer_reply(reason="wrong\n " * 200)))
    assert {len(mark.reason) for mark in review.marks} == {MAX_REASON_CHARS}
    assert review.marks[0].reason.startswith("wrong wrong")


@pytest.mark.parametrize(
    ("said", "is_swapped", "preferred"),
    [
        ("A", False, "first"),
        ("B", False, "second"),
        ("A", True, "second"),
        ("B", True, "first"),
        ("tie", False, "tie"),
        ("tie", True, "tie"),
    ],
)
def test_letters_are_put_back_to_the_answers_they_stood_for(
    said: str, is_swapped: bool, preferred: str
) -> None:
    reply = {"reason": "r", "better": said}
    jsonschema.validate(reply, PAIR_SCHEMA)
    assert read_preference(json.dumps(reply), is_swapped=is_swapped) == (preferred, "r")


@pytest.mark.parametrize(
    ("forward", "backward", "preferred", "is_stable"),
    [
        ("first", "first", "first", True),
        ("second", "second", "second", True),
        ("first", "second", "tie", False),
        ("first", "tie", "tie", False),
        ("tie", "tie", "tie", True),
    ],
)
def test_a_preference_counts_only_if_it_survives_the_swap(
    forward: Any, backward: Any, preferred: str, is_stable: bool
) -> None:
    for one, other in ((forward, backward), (backward, forward)):
        comparison = settled((one, "r1"), (other, "r2"))
        assert (comparison.preferred, comparison.is_stable) == (preferred, is_stable)
