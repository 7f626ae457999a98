"""The command that prints what an attempt costs: its rows, not its figures."""

import pytest

from pointsman.executor.cost import CASES, main


def test_every_case_has_a_row(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--rounds", "1", "--attempts", "2"]) == 0
    head, *rows = capsys.readouterr().out.splitlines()
    assert head.split()[:2] == ["case", "CPU"]
    assert [row[:26].strip() for row in rows] == [case.name for case in CASES]
    streamed = [float(row.split()[-1]) > 0 for row in rows]
    assert streamed == [case.streams for case in CASES]
