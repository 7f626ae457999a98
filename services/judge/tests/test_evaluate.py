"""The measuring command: its arithmetic, and what it says without data."""

import gzip
import json
from pathlib import Path

import pytest

from pointsman.judge.evaluate import auroc, main


@pytest.mark.parametrize(
    ("bad", "good", "expected"),
    [([2, 3], [0, 1], 1.0), ([0, 1], [2, 3], 0.0), ([1], [1], 0.5), ([1, 3], [2, 2], 0.5)],
)
def test_auroc(bad: list[float], good: list[float], expected: float) -> None:
    assert auroc(bad, good) == expected


def test_absent_data_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--data", str(tmp_path)]) == 2
    assert "judge.jsonl.gz" in capsys.readouterr().err


def test_figures_are_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [
        {"set": "begin_wow", "context": "It opened in 1998.", "question": "When did it open?",
         "answer": answer, "label": label}
        for answer, label in (("In 1998.", 0), ("", 1))
    ]  # fmt: skip
    answers = {
        name: {"text": text, "correct": name == "good", "output_tokens": 2000}
        for name, text in (("good", "The answer is (A)."), ("bad", "The answer is (B). " * 90))
    }
    for name, written in (
        ("judge", rows),
        ("replay", [{"prompt": "Which?", "answers": {"m": answer}} for answer in answers.values()]),
    ):
        with gzip.open(tmp_path / f"{name}.jsonl.gz", "wt") as file:
            file.writelines(json.dumps(row) + "\n" for row in written)

    assert main(["--data", str(tmp_path)]) == 0
    printed = capsys.readouterr().out
    assert "begin_wow" in printed
    assert "1.000" in printed
    assert "answers over 1500 tokens: 2, of them scored below 8: 50.0%" in printed
