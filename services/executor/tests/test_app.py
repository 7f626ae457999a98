"""The executor as it starts: from settings and a registry file to a handled command."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import cast

import pytest

from pointsman.executor.app import build
from pointsman.executor.settings import MissingKey, Settings
from pointsman.routes.registry import InvalidRegistry
from pointsman.runtime.bus import Bus

from .backend import Backend, calls, says
from .doubles import RecordingClient, a_command, a_tool

MODEL = """
models:
  - id: small
    provider: simulated
    base_url: {url}
    context_window: 8192
    token_cost: {{input: 0.000001, output: 0.000002}}
"""


def a_bus() -> Bus:
    # The executor needs two of its methods, which this double has.
    return cast("Bus", RecordingClient())


def settings(folder: Path, registry: str) -> Settings:
    path = folder / "models.yaml"
    path.write_text(registry, encoding="utf-8")
    return Settings(registry_path=path)


async def test_a_started_executor_answers_and_refuses_tools_without_a_backend(
    backend: Backend, tmp_path: Path
) -> None:
    backend.will(calls("logs_describe"), says("I have no tools."))
    service = build(settings(tmp_path, MODEL.format(url=backend.url)))
    command = a_command(tools=(a_tool(),))
    deadline = datetime.now(UTC) + timedelta(seconds=20)
    context = command.context.model_copy(update={"deadline": deadline})
    async with service.resources(a_bus()) as deps:
        fact = await service.handle(command.model_copy(update={"context": context}), deps=deps)
    assert fact.type == "executed"
    assert (fact.status, fact.answer.text) == ("succeeded", "I have no tools.")
    assert [run.status for run in fact.tool_runs] == ["refused"]
    assert service.name == "executor"
    assert service.is_memoized(command)


def test_a_missing_key_stops_the_start(tmp_path: Path) -> None:
    registry = MODEL.format(url="http://127.0.0.1:9/v1") + "    api_key_env: NOBODY_SETS_THIS_KEY\n"
    with pytest.raises(MissingKey, match=r"'small'.*NOBODY_SETS_THIS_KEY"):
        build(settings(tmp_path, registry))


def test_an_unusable_registry_stops_the_start(tmp_path: Path) -> None:
    with pytest.raises(InvalidRegistry, match=r"models\.yaml"):
        build(settings(tmp_path, "models: []"))
