import json
from pathlib import Path

import pytest

from pointsman.toolrag import growth
from pointsman.toolrag.domain import Catalogue


def test_a_grown_catalogue_has_different_tools_and_begins_with_the_real_ones(
    small_catalogue: Catalogue,
) -> None:
    real = small_catalogue.tools
    tools = growth.grown(real, 12 * len(real) + 5)
    assert tools[: len(real)] == real
    assert len({tool.tool_id for tool in tools}) == len({tool.text for tool in tools}) == len(tools)
    assert growth.grown(real, 3) == real[:3]


def test_growth_of_real_data_is_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tools = [
        {"id": f"bfcl:{at}", "name": f"get_{word}", "description": f"Get {word}", "source": "bfcl"}
        for at, word in enumerate(("weather", "stocks", "news"))
    ]
    asked = {"id": "1", "query": "the weather and the news", "source": "bfcl"}
    (tmp_path / "tools.jsonl").write_text("".join(json.dumps(tool) + "\n" for tool in tools))
    (tmp_path / "queries.jsonl").write_text(json.dumps(asked) + "\n")
    growth.main(["--data", str(tmp_path), "--sizes", "2", "20"])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("3 real tools, 1 real requests")
    assert [line.split()[0] for line in lines[2:]] == ["2", "20"]
    assert all(float(cell) >= 0 for line in lines[2:] for cell in line.split())


def test_absent_data_ends_with_a_clear_line(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="nothing was measured"):
        growth.main(["--data", str(tmp_path)])
