"""Checks a tool's arguments against its JSON Schema. Never fetches a schema it refers to.

``pattern`` is left to the tool's own backend: the catalogue's expressions are written for another
dialect than Python's, and one of them on a long string could hold the event loop. ``uniqueItems``
is left to it too: values that have no order are compared each with each. A schema whose references
multiply is not applied either.
"""

import asyncio
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from pointsman.contracts.chat import JsonObject

if TYPE_CHECKING:
    from jsonschema import ValidationError

MAX_PROBLEM_CHARS = 300
MAX_REFERENCES = 10_000
"""References followed in one check, about 0.1 s; references that double would never end."""


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


class _TooManyReferences(Exception):
    """The schema refers to more than can be read."""


class _Rules:
    """Checks one value at a time: the count of references is its own."""

    def __init__(self) -> None:
        from jsonschema import Draft202012Validator, validators
        from jsonschema.exceptions import UnknownType
        from referencing import Registry
        from referencing.exceptions import Unresolvable

        untyped: Any = validators
        plain: Any = Draft202012Validator.VALIDATORS
        keywords = {"pattern": None, "patternProperties": None, "uniqueItems": None} | {
            name: self._counted(plain[name]) for name in ("$ref", "$dynamicRef")
        }
        self._validator: Any = untyped.extend(Draft202012Validator, keywords)
        self._references = 0
        # jsonschema's own default still resolves a reference over the network.
        self._nothing_remote = Registry[Any]()
        self._broken = (Unresolvable, UnknownType)

    def problem(self, schema: JsonObject, arguments: JsonObject) -> str | None:
        validator = self._validator(schema, registry=self._nothing_remote)
        self._references = 0
        try:
            error: ValidationError | None = next(validator.iter_errors(arguments), None)
        except (*self._broken, TypeError):  # e.g. a number where a type's name belongs
            return "the tool's own schema is broken"
        except (_TooManyReferences, RecursionError):
            return None
        return None if error is None else _sentence(error)

    def _counted(self, follow: Callable[..., Iterator[Any]]) -> Callable[..., Iterator[Any]]:
        def counted(*of_keyword: Any) -> Iterator[Any]:
            self._references += 1
            if self._references > MAX_REFERENCES:
                raise _TooManyReferences
            yield from follow(*of_keyword)

        return counted


def _sentence(error: "ValidationError") -> str:
    message = error.message
    if len(message) > MAX_PROBLEM_CHARS:  # it quotes a long value, and says what is wrong after it
        message = f"breaks {error.validator!r}: {error.validator_value!r}"[:MAX_PROBLEM_CHARS]
    return f"{error.json_path}: {message}"
