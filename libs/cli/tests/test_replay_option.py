"""``pointsman up --replay``: what is wrong with the recordings is said before anything starts."""

import json
import socket
from pathlib import Path

import pytest
from click.testing import CliRunner

from pointsman.cli.laptop import port_or_free
from pointsman.cli.main import main

SOUND = json.dumps(
    {
        "id": "a",
        "category": "math",
        "prompt": "What is 2 + 2?",
        "prompt_tokens": 8,
        "answers": {"llama-3-8b-instruct": None},
    }
)


@pytest.fixture
def recordings(tmp_path: Path) -> Path:
    path = tmp_path / "recorded.jsonl"
    path.write_text(f"{SOUND}\n{{not json\n")
    return path


def test_malformed_recordings_stop_the_start_and_name_the_line(
    tmp_path: Path, recordings: Path
) -> None:
    state, port = tmp_path / "state", port_or_free(0)
    command = ["up", "--state-dir", str(state), "--port", str(port), "--replay", str(recordings)]
    result = CliRunner().invoke(main, command)
    assert result.exit_code == 1
    assert "recorded.jsonl: line 2: Invalid JSON" in result.output
    assert not (state / "nats").exists()
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0


def test_recordings_need_the_server_that_replays_them(recordings: Path) -> None:
    result = CliRunner().invoke(main, ["up", "--no-simulated", "--replay", str(recordings)])
    assert result.exit_code == 2
    assert "--no-simulated" in result.output


def test_file_that_is_not_there_is_a_wrong_option(tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["up", "--replay", str(tmp_path / "none.jsonl.gz")])
    assert result.exit_code == 2
    assert "does not exist" in result.output
