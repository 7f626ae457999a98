"""The command that prints what a judgement costs: its rows, not its figures."""

import pytest

from pointsman.judge.cost import ANSWER_WORDS, main


def test_every_kind_and_length_has_a_row(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--rounds", "1"]) == 0
    _, *rows = capsys.readouterr().out.splitlines()
    assert [int(row[14:20]) for row in rows] == list(ANSWER_WORDS) * 3
    assert {row[:14].strip() for row in rows} == {"open", "with a source", "examination"}
    assert [row[32:40].strip() for row in rows[:6]] == ["inline"] * 4 + ["thread"] * 2
