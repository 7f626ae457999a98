"""Which arguments fit a tool's schema, and how a misfit is told."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pointsman.executor.adapters.json_schema import JsonSchemaCheck

CHECK = JsonSchemaCheck()


def schema(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties)}


@pytest.mark.parametrize(
    ("given", "arguments", "said"),
    [
        ({}, {"anything": 1}, None),
        (schema(a={"type": "integer"}), {"a": 1}, None),
        (schema(a={"type": "integer"}), {}, "'a' is a required property"),
        (schema(a={"type": "integer"}), {"a": "x"}, "$.a: 'x' is not of type 'integer'"),
        (schema(a={"enum": ["ON", "OFF"]}), {"a": "on"}, "$.a: 'on' is not one of"),
        (schema(a={"type": "integer"}), {"a": "x" * 9000}, "$.a: breaks 'type': 'integer'"),
        (schema(a={"pattern": r"[\p{L}]+("}), {"a": "x"}, None),
        (schema(a={"$ref": "#/$defs/none"}), {"a": 1}, "own schema is broken"),
        (schema(a={"type": "strung"}), {"a": 1}, "own schema is broken"),
    ],
)
def test_a_misfit_is_told_in_one_short_sentence(
    given: dict[str, Any], arguments: dict[str, Any], said: str | None
) -> None:
    problem = CHECK.problem(given, arguments)
    if said is None:
        assert problem is None
    else:
        assert problem is not None
        assert said in problem
        assert len(problem) < 400


# jsonschema warns before it fetches; as an error, the warning would stop it and hide a fetch.
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_schema_elsewhere_is_never_fetched(tmp_path: Path) -> None:
    elsewhere = tmp_path / "integer.json"
    elsewhere.write_text('{"type": "integer"}', encoding="utf-8")
    problem = CHECK.problem(schema(a={"$ref": elsewhere.as_uri()}), {"a": 1})
    assert problem == "the tool's own schema is broken"


LOAD = """
import asyncio, sys
from pointsman.executor.adapters.json_schema import JsonSchemaCheck
check = JsonSchemaCheck()
before = "jsonschema" in sys.modules
asyncio.run(check.prepare())
print(before, "jsonschema" in sys.modules, check.problem({"type": "object"}, {}))
"""


def test_the_library_is_loaded_when_it_is_first_needed() -> None:
    result = subprocess.run(
        [sys.executable, "-c", LOAD], capture_output=True, text=True, timeout=60, check=False
    )
    assert result.stdout.split() == ["False", "True", "None"], result.stderr
