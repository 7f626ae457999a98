"""Checks a tool's arguments against its JSON Schema. Never fetches a schema it refers to.

``pattern`` is left to the tool's own backend: the catalogue's expressions are written for another
dialect than Python's, and one of them on a long string could hold the event loop.
"""

import asyncio
from typing import TYPE_CHECKING, Any

from pointsman.contracts.chat import JsonObject

if TYPE_CHECKING:
    from jsonschema import ValidationError

MAX_PROBLEM_CHARS = 300


class JsonSchemaCheck:
    """Implements ``ArgumentCheck`` with draft 2020-12."""

    def __init__(self) -> None:
        self._rules: _Rules | None = None

    async def prepare(self) -> None:
        """See ``ArgumentCheck.prepare``. Loads the library: a second and 25 MB, for the first."""
        if self._rules is None:
            self._rules = await asyncio.to_thread(_Rules)

    def problem(self, schema: JsonObject, arguments: JsonObject) -> str | None:
        """See ``ArgumentCheck.problem``."""
        if self._rules is None:
            self._rules = _Rules()
        return self._rules.problem(schema, arguments)


class _Rules:
    def __init__(self) -> None:
        from jsonschema import Draft202012Validator, validators
        from jsonschema.exceptions import UnknownType
        from referencing import Registry
        from referencing.exceptions import Unresolvable

        untyped: Any = validators
        left_out = {"pattern": None, "patternProperties": None}
        self._validator: Any = untyped.extend(Draft202012Validator, left_out)
        # jsonschema's own default still resolves a reference over the network.
        self._nothing_remote = Registry[Any]()
        self._broken = (Unresolvable, UnknownType)

    def problem(self, schema: JsonObject, arguments: JsonObject) -> str | None:
        validator = self._validator(schema, registry=self._nothing_remote)
        try:
            error: ValidationError | None = next(validator.iter_errors(arguments), None)
        except self._broken:
            return "the tool's own schema is broken"
        return None if error is None else _sentence(error)


def _sentence(error: "ValidationError") -> str:
    message = error.message
    if len(message) > MAX_PROBLEM_CHARS:  # it quotes a long value, and says what is wrong after it
        message = f"breaks {error.validator!r}: {error.validator_value!r}"[:MAX_PROBLEM_CHARS]
    return f"{error.json_path}: {message}"
