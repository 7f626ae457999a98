"""The command that prints what a judgement costs: its rows, not its figures."""

import pytest

from pointsman.judge.cost import ANSWER_WORDS, main


def test_every_length_has_a_row(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--rounds", "1"]) == 0
    _, *rows = capsys.readouterr().out.splitlines()
    assert [int(row.split()[0]) for row in rows] == list(ANSWER_WORDS)
    assert [row.split()[2] for row in rows] == ["inline", "inline", "inline", "thread", "thread"]
