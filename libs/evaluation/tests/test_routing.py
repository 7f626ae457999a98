"""Routing on made recordings: thresholds, decisions, folds, and the whole report."""

import gzip
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from pointsman.evaluation import routing
from pointsman.evaluation.figures import call_curve
from pointsman.evaluation.recordings import LLAMA, Reader, price, until_loop
from pointsman.evaluation.routing_folds import (
    Part,
    Scored,
    Split,
    estimates_after,
    estimates_of,
    fitted_acceptance,
    fitted_after,
    scored_seen,
    scored_unseen,
)
from pointsman.evaluation.routing_outcomes import answers_of, scores
from pointsman.evaluation.routing_policy import (
    Heads,
    Policy,
    route_recorded,
    threshold_reaching,
    threshold_within,
)
from pointsman.evaluation.routing_trees import grown_classifier
from pointsman.evaluation.vectors import Vectors
from pointsman.loadgen.recordings import RecordedAnswer, Recording
from pointsman.scorers.trees import joined

MODELS = (*LLAMA.models, "phi-3-mini-4k", "gemini-1.5-pro-002")
CATEGORIES = ("law", "maths", "biology")


def recorded(number: int) -> Recording:
    """Small models are right where they agree and say little; the strong one is right always."""
    easy = number % 2 == 0
    letters = {model: "A" if easy else "BCDBC"[at] for at, model in enumerate(MODELS)}
    letters[LLAMA.strong] = "A"
    texts = {
        model: f"{'Hence. ' * (2 if easy else 30)}The answer is ({letter})."
        for model, letter in letters.items()
    }
    return Recording(
        id=f"q{number}",
        category=CATEGORIES[number % 3],
        prompt=f"Question {number} of many?\n(A) one\n(B) two\n(C) three\n(D) four",
        prompt_tokens=100,
        answers={
            model: RecordedAnswer(
                text=text,
                extracted=letters[model],
                correct=letters[model] == "A",
                output_tokens=len(text) // 4,
            )
            for model, text in texts.items()
        },
    )


def varied(number: int) -> Recording:
    """One time in six each: the sibling is wrong; it alone is right; both small models are right
    and the strong one says nothing. Else the strong one alone is right, and the small ones look as
    in the last case.
    """
    kind = number % 6
    plain, long = "The answer is ({}).", f"{'Perhaps so. ' * 30}The answer is ({{}})."
    said = {
        0: (plain.format("A"), long.format("C"), plain.format("A")),
        1: (long.format("C"), plain.format("A"), plain.format("B")),
    }
    small = long.format("B")
    texts = said.get(kind, (small, small, "Nothing fits. " * 9 if kind == 5 else plain.format("A")))
    gold = "(B)" if kind == 5 else "(A)"
    answers = {
        model: RecordedAnswer(
            text=text, extracted=None, correct=gold in text, output_tokens=len(text) // 4
        )
        for model, text in zip(LLAMA.models, texts, strict=True)
    }
    return recorded(number).model_copy(update={"answers": answers})


ROWS = [recorded(number) for number in range(240)]


def vectors(texts: Sequence[str]) -> Vectors:
    return np.eye(len(texts), 384, dtype=np.float32)


def test_the_cheapest_threshold_that_is_accurate_enough() -> None:
    score = np.array([3.0, 2.0, 1.0, 0.0])
    weak, strong = np.array([False, True, False, True]), np.array([True, True, True, True])

    assert threshold_reaching(score, weak, strong, accuracy=0.75) == 2.5
    assert threshold_reaching(score, weak, strong, accuracy=0.5) == np.inf
    assert threshold_reaching(score, weak, strong, accuracy=1.0) == 0.5
    assert threshold_reaching(score, weak, weak, accuracy=0.9) == -np.inf


def test_the_lowest_threshold_within_a_budget() -> None:
    score, ten = np.array([3.0, 2.0, 1.0, 0.0]), np.full(4, 10.0)

    assert threshold_within(score, np.ones(4), ten, budget=24) == 1.5
    assert threshold_within(score, np.ones(4), ten, budget=2) == np.inf
    assert threshold_within(score, np.zeros(4), ten, budget=40) == -np.inf


def test_our_sums_are_those_of_the_library() -> None:
    from sklearn.ensemble import HistGradientBoostingClassifier

    from pointsman.evaluation import routing_trees

    random = np.random.default_rng(0)
    inputs = random.normal(size=(600, 5)).astype(np.float32)
    inputs[random.random(inputs.shape) < 0.2] = np.nan
    truth = np.nan_to_num(inputs[:, 0] + inputs[:, 1]) > 0
    settings = routing_trees._SETTINGS  # pyright: ignore[reportPrivateUsage] (one list for both)
    model: Any = HistGradientBoostingClassifier(random_state=3, **settings)
    model.fit(inputs, truth)
    trees = joined([grown_classifier(inputs, truth, seed=3)])

    ours = [float(trees.sums(row)[0]) for row in inputs]

    assert ours == pytest.approx(model.decision_function(inputs).tolist(), abs=1e-5)


def test_an_input_nobody_has_and_a_truth_that_never_changes_are_grown() -> None:
    inputs = np.full((300, 2), np.nan, np.float32)
    inputs[:, 1] = np.arange(300)
    trees = joined([
        grown_classifier(inputs, inputs[:, 1] > 150, seed=0),
        grown_classifier(inputs, np.ones(300, np.bool_), seed=0),
    ])  # fmt: skip

    low, high = trees.sums(inputs[0]), trees.sums(inputs[-1])

    assert low[0] < 0 < high[0]
    assert low[1] == high[1] == 5


def test_a_recorded_request_is_decided_as_the_table_decides_it() -> None:
    reader = Reader()
    rows = [varied(number) for number in range(240)]
    table = reader.table(rows, LLAMA)
    every = np.arange(len(table))
    heads = Heads(before=fitted_acceptance(table, every), after=fitted_after(table, every))
    before = estimates_of(heads.before, table, every)
    estimates = np.hstack([before, estimates_after(heads.after, table, every, before)])
    scored = Scored(estimates=estimates, parts=(Part(tune=every, rows=every),), method="")
    policy = Policy(cascade=LLAMA, by="gain per dollar", threshold=0.2)
    expected = scores(table, scored, policy.by)

    found = [route_recorded(row, heads, policy, reader=reader) for row in rows]

    assert [decision.score for decision in found] == pytest.approx(expected.tolist())
    called = np.array([LLAMA.strong in decision.models for decision in found])
    assert called.tolist() == (expected >= policy.threshold).tolist()
    assert 0 < called.sum() < len(rows)
    answers = answers_of(table, scored)
    right = [row.answers[said.answered_by].correct for row, said in zip(rows, found, strict=True)]
    assert right == np.where(called, answers.called, answers.small).tolist()
    # Each of the three is returned somewhere: the sibling's too, and a small one after a call.
    assert {decision.answered_by for decision in found} == set(LLAMA.models)
    assert any(LLAMA.strong in d.models and d.answered_by != LLAMA.strong for d in found)
    dollars = table.small_dollars + called * table.strong_dollars
    assert [decision.dollars for decision in found] == pytest.approx(dollars.tolist())
    tokens = table.small_tokens + called * table.strong_tokens
    assert [decision.output_tokens for decision in found] == pytest.approx(tokens.tolist())
    assert found[0].models[: 1 + len(LLAMA.siblings)] == (LLAMA.weak, *LLAMA.siblings)


def test_what_is_paid_is_cut_and_what_always_strong_costs_is_not() -> None:
    text = "It follows that the value is then given by the same ratio again. " * 200
    runaway = RecordedAnswer(text=text, extracted=None, correct=False, output_tokens=4_000)
    row = recorded(1)
    row = row.model_copy(update={"answers": {**row.answers, LLAMA.strong: runaway}})

    table = Reader().table([row], LLAMA)

    assert table.always_tokens[0] == 4_000
    assert table.strong_tokens[0] < 2_000
    assert table.always_dollars[0] == pytest.approx(price(LLAMA.strong, 100, 4_000))
    assert table.strong_dollars[0] < table.always_dollars[0] / 2


def test_the_gap_may_begin_below_what_is_reached_without_a_strong_call() -> None:
    score = np.array([3.0, 2.0, 1.0, 0.0])
    small, strong = np.array([False, True, False, True]), np.ones(4, np.bool_)
    curve = call_curve(score, small, strong)

    assert curve.apgr() == pytest.approx(0.625)
    assert curve.apgr(weak=0.25) == pytest.approx(0.75)
    assert curve.cpt(2 / 3, weak=0.25) == pytest.approx(0.25)


def test_no_row_is_scored_by_a_head_that_saw_it() -> None:
    trained: list[tuple[set[int], set[int]]] = []

    def estimate(train: Any, rows: Any) -> Any:
        trained.append((set(train.tolist()), set(rows.tolist())))
        return np.zeros((len(rows), 1))

    groups = tuple(row.category for row in ROWS)
    both = Split(train=np.arange(160), test=np.arange(160, 240))
    one = Split(train=np.arange(240), test=np.arange(240))
    scored_seen(one, groups, estimate)
    scored_unseen(one, groups, estimate)
    scored_seen(both, groups, estimate)

    assert all(not train & rows for train, rows in trained)
    # What was tested is in no training: neither for estimates nor for thresholds.
    assert all(train <= set(range(160)) for train, _ in trained[-6:])
    by_category = trained[5:8]
    assert all(
        not {groups[row] for row in train} & {groups[row] for row in rows}
        for train, rows in by_category
    )


def test_categories_not_trained_on_are_unseen() -> None:
    groups = ("a", "a", "b", "b", "a", "c")
    split = Split(train=np.arange(4), test=np.arange(4, 6))

    def estimate(train: Any, rows: Any) -> Any:
        return np.zeros((len(rows), 1))

    seen, unseen = scored_seen(split, groups, estimate), scored_unseen(split, groups, estimate)

    assert seen is not None
    assert seen.rows.tolist() == [4]
    assert unseen is not None
    assert unseen.rows.tolist() == [5]


def test_a_runaway_answer_is_paid_until_it_is_stopped() -> None:
    text = "It follows that the value is then given by the same ratio again. " * 200
    answer = RecordedAnswer(text=text, extracted=None, correct=False, output_tokens=4_000)

    kept, tokens = until_loop(answer)

    assert len(kept) < len(text) / 2
    assert tokens == pytest.approx(4_000 * len(kept) / len(text))


def test_a_price_is_per_million_tokens() -> None:
    assert price("gpt-4o", 1_000_000, 100_000) == pytest.approx(2.5 + 1.0)


def test_the_report_names_what_is_absent_and_measures_the_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(routing, "_BESIDE", ())
    monkeypatch.setattr(routing, "vectors_of", vectors)
    folders = tmp_path / "train", tmp_path / "test"
    for folder, rows in zip(folders, (ROWS, ROWS[:90]), strict=True):
        folder.mkdir()
        with gzip.open(folder / "replay.jsonl.gz", "wt") as file:
            for row in rows:
                file.write(f"{row.model_dump_json()}\n")
    out = tmp_path / "out.json"
    train, test = map(str, folders)

    result = CliRunner().invoke(
        routing.main, ["--train", train, "--test", test, "--json", str(out)]
    )

    assert result.exit_code == 0, result.output
    found = json.loads(out.read_text())
    assert any("routellm_mmlu.jsonl.gz: not measured" in note for note in found["notes"])
    cascade = next(rows for name, rows in found["sections"].items() if name.startswith(str(LLAMA)))
    values = {row["name"]: row["value"] for row in cascade}
    assert values["accuracy, gpt-4o"] == 100
    assert values["accuracy, llama-3-8b-instruct"] == 50
    # The two small models agree exactly where the weak one is right: nothing is left to learn.
    assert values["APGR"] == pytest.approx(0.75, abs=0.01)
    assert values["APGR of a random router"] == pytest.approx(0.5, abs=0.01)
    assert values["accuracy above that promise"] >= -1
