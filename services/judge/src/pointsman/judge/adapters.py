"""The scorer of this service: the rules, with a JSON Schema validator.

Short cases are scored at once, long ones off the event loop.
"""

import asyncio
from typing import Any, Final

from pointsman.contracts.chat import JsonObject
from pointsman.contracts.messages import Judge
from pointsman.judge.domain import Score, case_of, score_case

INLINE_CHARS: Final = 4_000
"""Text that is scored at once: about a millisecond (``python -m pointsman.judge.cost``). A thread
costs a tenth of that, and a turn of the interpreter that the event loop then waits for."""


class RulesScorer:
    """Deterministic checks; costs nothing and never fails."""

    async def score(self, command: Judge) -> Score:
        # The first schema is slow to apply: it loads its library.
        has_schema = "json_schema" in (command.request.response_format or ())
        if not has_schema and _chars(command) <= INLINE_CHARS:
            return self.assess(command)
        return await asyncio.to_thread(self.assess, command)

    def assess(self, command: Judge) -> Score:
        """Score without an event loop."""
        return score_case(case_of(command, schema_violation))


def _chars(command: Judge) -> int:
    """How much text the rules read."""
    asked = sum(len(message.text) for message in command.request.messages)
    told = sum(len(run.output) for run in command.tool_runs)
    return asked + told + len(command.answer.text)


def schema_violation(schema: JsonObject, value: Any) -> str | None:
    """Say how ``value`` breaks ``schema``; None if it fits or the schema cannot be applied.

    The schema is a client's: no reference is fetched, and regular expressions are not run, because
    one that backtracks would hold the process.
    """
    import jsonschema
    from jsonschema.validators import validator_for
    from referencing import Registry
    from referencing.exceptions import Unresolvable

    try:
        if _has_key(schema, "patternProperties"):
            return None
        usable = _without_patterns(schema)
        validator_class: Any = validator_for(usable, default=jsonschema.Draft202012Validator)
        validator_class.check_schema(usable)
        validator = validator_class(usable, registry=Registry[Any]())
        error: Any = next(iter(validator.iter_errors(value)), None)
    except (jsonschema.SchemaError, Unresolvable, RecursionError):
        return None
    if error is None:
        return None
    where = ".".join(str(step) for step in error.absolute_path) or "the document"
    return f"{where} breaks {error.validator!r}"


def _has_key(value: Any, key: str) -> bool:
    match value:
        case dict():
            return key in value or any(_has_key(inner, key) for inner in value.values())  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType] (a client's JSON)
        case list():
            return any(_has_key(inner, key) for inner in value)  # pyright: ignore[reportUnknownVariableType]
        case _:
            return False


def _without_patterns(value: Any) -> Any:
    """A copy without the keyword ``pattern``; a property of that name is an object and stays."""
    match value:
        case dict():
            return {
                key: _without_patterns(inner)
                for key, inner in value.items()  # pyright: ignore[reportUnknownVariableType]
                if not (key == "pattern" and isinstance(inner, str))
            }
        case list():
            return [_without_patterns(inner) for inner in value]  # pyright: ignore[reportUnknownVariableType]
        case _:
            return value
