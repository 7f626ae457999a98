"""The recorded extractors, and what the loop guard's report counts."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from pointsman.evaluation.loops import EXTRACTORS, headed, last_letter, loops_report, stated

LOOP = "We compute the value again and see that it is 12.5 as before. "
LONG = " ".join(f"In step {n} the value grows by {n * n} and {n + 7} remain." for n in range(300))


@pytest.mark.parametrize(
    ("text", "by_stated", "by_headed", "by_last"),
    [
        ("The answer is (C). Or the answer is (D).", "C", None, "D"),
        ("The answer is B", "B", None, "B"),
        ("the answer is (K)", None, None, None),
        ("Answer: A or answer: B\nAnswer: C", None, "B", "C"),
        ("So F2 is no letter but E is.", None, None, "E"),
        ("", None, None, None),
    ],
)
def test_letters_are_read_as_the_recordings_were(
    text: str, by_stated: str | None, by_headed: str | None, by_last: str | None
) -> None:
    assert (stated(text), headed(text), last_letter(text)) == (by_stated, by_headed, by_last)


def write(folder: Path, answers: list[dict[str, Any]]) -> Path:
    with gzip.open(folder / "replay.jsonl.gz", "wt") as file:
        for number, answer in enumerate(answers):
            row = {
                "id": str(number), "category": "math", "prompt": "Which?", "prompt_tokens": 5,
                "answers": {"m": {"correct": True, "output_tokens": 1000, **answer}},
            }  # fmt: skip
            file.write(json.dumps(row) + "\n")
    return folder


def test_savings_and_changed_letters_are_counted(tmp_path: Path) -> None:
    folder = write(
        tmp_path,
        [
            {"text": "The answer is (A).", "extracted": "A"},
            {"text": "The answer is (B). " + LOOP * 200, "extracted": "B"},
            {"text": LOOP * 200 + "The answer is (C).", "extracted": "C"},
            {"text": LONG + " The answer is (D).", "extracted": "D"},
            {"text": None, "extracted": None, "output_tokens": None},
        ],
    )

    rows = {row.name: row for row in loops_report(folder, folder)}

    saved, changed = rows["m: tokens saved"], rows["m: letters changed"]
    assert 40 < saved.value < 50  # two of four answers of 1,000 tokens, nearly whole
    assert saved.note == "2 of 5 answers stopped"
    assert changed.value == 1  # the loop that comes to an end after all
    assert "100.0% of the recorded letters" in changed.note
    assert rows["CPU per 1,000 characters"].value > 0


def test_a_folder_without_recordings_has_no_rows(tmp_path: Path) -> None:
    assert loops_report(tmp_path, tmp_path) == []


def test_extractors_differ() -> None:
    text = "Answer: A. But maybe D."
    assert [extract(text) for extract in EXTRACTORS.values()] == [None, "A", "A"]
