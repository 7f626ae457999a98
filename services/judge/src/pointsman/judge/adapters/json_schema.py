"""Applies a JSON Schema to a value. The schema is a client's or a tool's: nothing is fetched, no
regular expression is run, and what would take too long is not applied.

A few lines of schema can ask for ``2 ** n`` checks, by references or with the depth of the value,
so the checks are counted while they are made.
"""

import json
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from functools import cache
from typing import Any, Final

from pointsman.contracts.chat import JsonObject

MOST_NODES: Final = 2_000
"""Objects, lists and plain values of a schema. Checking the schema itself takes 50 us each."""
MOST_CHECKS: Final = 20_000
"""Keywords that are applied, a long list of values counting for several. 5 to 12 us each."""
_VALUES_PER_CHECK: Final = 8
_LISTS_OF_VALUES: Final = frozenset(
    {"enum", "const", "required", "type", "dependentRequired", "dependencies"}
)
_NOT_APPLIED: Final = ("patternProperties", "unevaluatedProperties", "unevaluatedItems")
"""Expressions, and two whose work is done where it is not counted."""

_checks: ContextVar["_Checks"] = ContextVar("_checks")

Keyword = Callable[[Any, Any, Any, Any], Iterator[Any] | None]


class _TooMuch(Exception):
    pass


class _Checks:
    """How many more may be made, for a schema of ``nodes``."""

    def __init__(self, nodes: int) -> None:
        self.nodes = nodes
        self._left = MOST_CHECKS

    def pay(self, price: int) -> None:
        self._left -= price
        if self._left < 0:
            raise _TooMuch


def schema_violation(schema: JsonObject, value: Any) -> str | None:
    """Say how ``value`` breaks ``schema``; None if it fits or the schema cannot be applied.

    The schema is a client's: no reference is fetched, and regular expressions are not run, because
    one that backtracks would hold the process. One that is too long, or comes to too many checks,
    cannot be applied either.
    """
    import jsonschema
    from jsonschema.validators import validator_for
    from referencing import Registry
    from referencing.exceptions import Unresolvable

    nodes = _size(schema, MOST_NODES)
    if nodes > MOST_NODES:
        return None
    spent = _checks.set(_Checks(nodes))
    try:
        if any(_has_key(schema, key) for key in _NOT_APPLIED):
            return None
        validator_class: Any = validator_for(schema, default=jsonschema.Draft202012Validator)
        usable = _usable(schema)
        validator_class.check_schema(usable)
        validator = _counting(validator_class)(usable, registry=Registry[Any]())
        error: Any = next(iter(validator.iter_errors(value)), None)
    except (jsonschema.SchemaError, Unresolvable, RecursionError, _TooMuch):
        return None
    finally:
        _checks.reset(spent)
    if error is None:
        return None
    where = ".".join(str(step) for step in error.absolute_path) or "the document"
    return f"{where} breaks {error.validator!r}"


@cache
def _counting(validator_class: Any) -> Any:
    """The same validator, each keyword of which pays before it is applied."""
    from jsonschema import validators

    untyped: Any = validators
    keywords: dict[str, Keyword] = {**validator_class.VALIDATORS, "uniqueItems": _unique_items}
    return untyped.extend(
        validator_class, {name: _paid(name, check) for name, check in keywords.items()}
    )


def _paid(name: str, check: Keyword) -> Keyword:
    def paid(validator: Any, wanted: Any, instance: Any, schema: Any) -> Iterator[Any] | None:
        checks = _checks.get()
        checks.pay(1 + _price(name, wanted, instance, checks.nodes) // _VALUES_PER_CHECK)
        return check(validator, wanted, instance, schema)

    return paid


def _price(name: str, wanted: Any, instance: Any, nodes: int) -> int:
    """How many values are looked at."""
    if name.endswith(("$ref", "Ref")) and isinstance(wanted, str):
        # A name is searched for in all of the schema, each time.
        is_path = wanted == "#" or wanted.startswith("#/")
        return len(wanted) if is_path else _VALUES_PER_CHECK * nodes
    if name == "uniqueItems":
        return _size(instance, MOST_CHECKS * _VALUES_PER_CHECK)
    if name in _LISTS_OF_VALUES:
        return _size(wanted, MOST_NODES)
    return sum(len(value) for value in (wanted, instance) if isinstance(value, list | dict))  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType] (a client's JSON)


def _unique_items(
    validator: Any,
    wanted: Any,
    instance: Any,
    schema: Any,  # noqa: ARG001 (a keyword's signature)
) -> Iterator[Any]:
    """The library's own compares each object with each other one."""
    from jsonschema import ValidationError

    if wanted and validator.is_type(instance, "array"):
        keys = {json.dumps(_plain(item), sort_keys=True) for item in instance}
        if len(keys) < len(instance):
            yield ValidationError("two items are the same")


def _plain(value: Any) -> Any:
    """``value`` with whole numbers in one spelling: 1.0 is 1 in JSON Schema, and true is not."""
    match value:
        case dict():
            return {key: _plain(inner) for key, inner in value.items()}  # pyright: ignore[reportUnknownVariableType]
        case list():
            return [_plain(inner) for inner in value]  # pyright: ignore[reportUnknownVariableType]
        case float() if value.is_integer():
            return int(value)
        case _:
            return value


def _size(value: Any, most: int) -> int:
    """How many values there are in ``value``, at any depth; counts to a little over ``most``."""
    waiting: list[Any] = [value]
    count = 0
    while waiting and count <= most:
        count += 1
        match waiting.pop():
            case dict() as inner:  # pyright: ignore[reportUnknownVariableType] (a client's JSON)
                waiting += inner.values()
            case list() as inner:  # pyright: ignore[reportUnknownVariableType]
                waiting += inner
            case _:
                pass
    return count


def _has_key(value: Any, key: str) -> bool:
    match value:
        case dict():
            return key in value or any(_has_key(inner, key) for inner in value.values())  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType] (a client's JSON)
        case list():
            return any(_has_key(inner, key) for inner in value)  # pyright: ignore[reportUnknownVariableType]
        case _:
            return False


def _usable(value: Any) -> Any:
    """A copy without the keyword ``pattern``; a property of that name is an object and stays.

    Without ``$schema``, too: within a schema it would bring back a validator that does not count.
    """
    match value:
        case dict():
            return {
                key: _usable(inner)
                for key, inner in value.items()  # pyright: ignore[reportUnknownVariableType]
                if not (key in {"pattern", "$schema"} and isinstance(inner, str))
            }
        case list():
            return [_usable(inner) for inner in value]  # pyright: ignore[reportUnknownVariableType]
        case _:
            return value
