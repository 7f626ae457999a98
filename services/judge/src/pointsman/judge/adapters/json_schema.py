"""Applies a JSON Schema to a value. The schema is a client's or a tool's: nothing is fetched."""

from typing import Any

from pointsman.contracts.chat import JsonObject


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
