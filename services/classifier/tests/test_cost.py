"""The command that prints what a request costs: its figures are of the handler as it runs."""

import gzip
import json
from pathlib import Path

import pytest

from pointsman.classifier import cost

from .doubles import ROUTE, registry


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    (tmp_path / "route.yaml").write_text(ROUTE, encoding="utf-8")
    (tmp_path / "models.yaml").write_text(registry().model_dump_json(), encoding="utf-8")
    rows = [{"prompt": f"Which of these {number} cities is the largest?"} for number in range(40)]
    with gzip.open(tmp_path / "replay.jsonl.gz", "wt", encoding="utf-8") as file:
        file.write("".join(json.dumps(row) + "\n" for row in rows))
    return {
        "--data": tmp_path,
        "--route": tmp_path / "route.yaml",
        "--registry": tmp_path / "models.yaml",
    }


def test_a_row_is_printed_for_each_length(
    files: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    options = [str(part) for pair in files.items() for part in pair]
    cost.main([*options, "--lengths", "50", "200", "--prompts", "3"])
    rows = [line.split() for line in capsys.readouterr().out.splitlines()[3:]]
    assert [row[0] for row in rows] == ["50", "200"]
    for row in rows:
        assert len(row) == 1 + len(cost.STAGES)
        assert float(row[-1]) > 0


def test_prompts_have_the_asked_length(files: dict[str, Path]) -> None:
    prompts = cost.read_prompts(files["--data"], 120, 4)
    assert [len(prompt) for prompt in prompts] == [120] * 4
    assert len(set(prompts)) == 4


def test_absent_data_ends_with_a_clear_line(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="nothing was measured"):
        cost.main(["--data", str(tmp_path)])
