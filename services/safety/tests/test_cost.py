"""The cost command prints a row for each length, with and without the data folder."""

import json
from pathlib import Path

import pytest

from pointsman.safety.cost import TOKENS, main


@pytest.mark.parametrize("has_data", [False, True])
def test_growth_is_printed_for_every_length(
    has_data: bool,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("pointsman.safety.cost.MOST_TEXTS", 1)
    monkeypatch.setattr("pointsman.safety.cost.ROUNDS", 1)
    if has_data:
        (tmp_path / "benign.jsonl").write_text(json.dumps({"text": "How are you? " * 9}) + "\n")
    assert main(["--data", str(tmp_path), "--round-s", "0"]) == 0
    framework, header, *rows = capsys.readouterr().out.splitlines()
    assert float(framework.split()[-4]) > 0
    assert header.split()[:2] == ["tokens", "characters"]
    figures = [[float(cell) for cell in row.split()] for row in rows]
    assert [row[0] for row in figures] == list(TOKENS)
    assert all(row[1] == 4 * row[0] and row[2] > 0 for row in figures)
