"""The judge's evaluation: what is learned from, what is measured, what is said without data."""

import gzip
import json
import random
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from pointsman.evaluation.judging import main
from pointsman.evaluation.judging_data import command_for, read_labelled
from pointsman.evaluation.judging_heads import heads_report
from pointsman.evaluation.judging_support import (
    NothingToLearnFrom,
    features_of,
    fit,
    fit_support,
    held_out_log_odds,
    log_odds,
    may_learn_from,
)
from pointsman.evaluation.judging_verdicts import cost_report, rules_report, verdicts_report
from pointsman.judge.domain.support import Support
from pointsman.scorers.scorer_file import read_scorer

WORDS = (
    *("harbour", "bridge", "stone", "river", "market", "tower"),
    *("garden", "station", "castle", "museum", "forest", "valley"),
)


def made(folder: Path, *, rows: int = 120, felm_label: int = 0) -> Path:
    """Answers that repeat their context are good, answers of other words are bad."""
    source = random.Random(5)
    lines: list[dict[str, object]] = []
    for number in range(rows):
        label = number % 2
        context = " ".join(source.choices(WORDS, k=12)) + f" opened in {1800 + number}."
        copied = " ".join(context.split()[:8]) + "."
        other = "I think some famous pirate quietly built everything there!"
        for name, held in (("begin_wow", context), ("halueval_general", "")):
            answer = other if label else copied
            lines.append(
                {"set": name, "context": held, "question": f"Tell me of number {number}?",
                 "answer": answer, "label": label}
            )  # fmt: skip
        lines.append(
            {"set": "felm_math", "context": None, "question": f"Sum {number}?", "answer": copied,
             "label": (label + felm_label) % 2}
        )  # fmt: skip
    folder.mkdir(exist_ok=True)
    with gzip.open(folder / "judge.jsonl.gz", "wt") as file:
        file.writelines(json.dumps(line) + "\n" for line in lines)
    return folder


def test_heads_are_fitted_and_applied_alike(tmp_path: Path) -> None:
    features = features_of(read_labelled(made(tmp_path)))
    support = fit(features)
    rows = read_labelled(tmp_path)

    found = log_odds(support, features)

    first = next(place for place, row in enumerate(rows) if row.context)
    assert found[first] == pytest.approx(
        support.unsupported_by(rows[first].question, rows[first].context, rows[first].answer)
    )
    alone = next(place for place, row in enumerate(rows) if not row.context)
    assert found[alone] == pytest.approx(
        support.unsupported_alone(rows[alone].question, rows[alone].answer)
    )


def test_nothing_is_learned_from_non_commercial_sets(tmp_path: Path) -> None:
    one = features_of(read_labelled(made(tmp_path / "one")))
    other = features_of(read_labelled(made(tmp_path / "other", felm_label=1)))

    assert np.array_equal(may_learn_from(one), [name != "felm_math" for name in one.sets])
    assert np.array_equal(log_odds(fit(one), one), log_odds(fit(other), other))


def test_a_row_is_judged_by_heads_that_did_not_see_it(tmp_path: Path) -> None:
    features = features_of(read_labelled(made(tmp_path)))

    assert not np.allclose(held_out_log_odds(features), log_odds(fit(features), features))


def test_the_file_is_written_alike_twice_and_read_again(tmp_path: Path) -> None:
    data = made(tmp_path / "data")
    fit_support(data, tmp_path / "one")
    fit_support(data, tmp_path / "two")

    one, two = (tmp_path / name / "support.npz" for name in ("one", "two"))
    assert one.read_bytes() == two.read_bytes()
    Support.from_arrays(read_scorer(one))
    card = (tmp_path / "one" / "SUPPORT_CARD.md").read_text()
    assert "begin_wow" in card
    assert "| felm" not in card


def test_nothing_to_learn_from_is_said(tmp_path: Path) -> None:
    with pytest.raises(NothingToLearnFrom):
        fit_support(tmp_path, tmp_path)


def test_a_head_tells_what_differs_and_prints_its_control(tmp_path: Path) -> None:
    folder = made(tmp_path)

    rows = {row.name: row for row in heads_report(folder, folder)}

    assert rows["begin_wow"].value == 1.0
    assert rows["begin_wow"].verdict == "moonshot"
    assert "length alone" in rows["begin_wow"].note
    assert "not learned" in rows["felm_math"].note


def test_verdicts_rules_and_cost_have_their_rows(tmp_path: Path) -> None:
    folder = made(tmp_path, rows=20)

    verdicts = {row.name: row for row in verdicts_report(folder, folder)}
    names = [row.name for row in rules_report(folder)]

    assert verdicts["begin_wow: AUROC of the verdict's probability"].value > 0.9
    assert "unsure" in verdicts["begin_wow: AUROC of the verdict's probability"].note
    assert "begin_wow: calibration error of acceptance" in verdicts
    assert "halueval_general: AUROC of the rules' score" in names
    assert [row.unit for row in cost_report(folder)] == ["ms"]


def test_trained_on_one_folder_and_tested_on_another(tmp_path: Path) -> None:
    train, test = made(tmp_path / "train"), made(tmp_path / "test", rows=30)
    out = tmp_path / "report.json"

    done = CliRunner().invoke(
        main, ["--train", str(train), "--test", str(test), "--json", str(out)]
    )

    assert done.exit_code == 0, done.output
    assert "learned from --train alone" in done.output
    report = json.loads(out.read_text())
    assert "cost" in report["sections"]
    assert any("replay.jsonl.gz is absent" in note for note in report["notes"])


def test_an_empty_folder_is_named(tmp_path: Path) -> None:
    done = CliRunner().invoke(main, ["--train", str(tmp_path), "--test", str(tmp_path)])

    assert done.exit_code == 1
    assert "holds neither judge.jsonl.gz nor replay.jsonl.gz" in done.output


def test_a_context_travels_as_the_pipeline_would_send_it() -> None:
    command = command_for("Who?", "Ada.", "Ada built it.")

    assert command.request.last_user_text.endswith("Context: Ada built it.\n\nWho?")
