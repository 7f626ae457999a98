"""How wire values behave: frozen, tolerant of new fields, with content marked.

Owns the base model of everything that crosses a process, the ``Content`` marker and its removal.
Knows no subject and no message; those are in ``messages`` and ``topology``.
"""

from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, TypeVar, get_args, get_origin

from pydantic import BaseModel, ConfigDict

T = TypeVar("T")


@dataclass(frozen=True)
class ContentMarker:
    """Says that a field holds words of a prompt, an answer or a tool, not a decision or a count."""


Content = Annotated[T, ContentMarker()]
"""A field of this type never reaches LLM_EVENTS, logs or spans; it must have a default."""


class Wire(BaseModel):
    """A frozen value on the bus. Unknown fields are ignored: consumers roll out first."""

    model_config = ConfigDict(
        frozen=True,
        extra="ignore",
        ser_json_bytes="base64",
        val_json_bytes="base64",
        # A validation error must not carry what a user wrote into a log.
        hide_input_in_errors=True,
    )


@cache
def content_fields(model: type[BaseModel]) -> frozenset[str]:
    """Return the names of ``model``'s fields that are marked as content."""
    return frozenset(
        name
        for name, field in model.model_fields.items()
        if any(isinstance(mark, ContentMarker) for mark in field.metadata)
        or any(isinstance(mark, ContentMarker) for mark in get_args(field.annotation))
    )


def redacted_json(value: BaseModel) -> bytes:
    """Return ``value`` as JSON without any content field, at any depth."""
    return value.model_dump_json(exclude=_exclusions(value)).encode()


def _exclusions(value: BaseModel) -> dict[str, Any]:
    hidden, open_fields = _plan(type(value))
    if not open_fields:
        return hidden
    return hidden | {name: _exclusions(getattr(value, name)) for name in open_fields}


@cache
def _plan(model: type[BaseModel]) -> tuple[dict[str, Any], tuple[str, ...]]:
    """What of ``model`` is always hidden, and the fields of which only a value tells the type.

    Worked out once a type: walking every value cost more than writing it.
    """
    hidden: dict[str, Any] = dict.fromkeys(content_fields(model), True)
    open_fields: list[str] = []
    for name, field in model.model_fields.items():
        if name in hidden:
            continue
        kinds = _models_in(field.annotation)
        if len(kinds) > 1:
            open_fields.append(name)
        elif kinds:
            inner, inner_open = _plan(kinds[0])
            if inner_open:
                raise TypeError(f"{model.__name__}.{name}: a union may stand only at the top")
            is_many = get_origin(_without_none(field.annotation)) is tuple
            if inner:
                hidden[name] = {"__all__": inner} if is_many else inner
    return hidden, tuple(open_fields)


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for inner in get_args(annotation) for model in _models_in(inner)]


def _without_none(annotation: Any) -> Any:
    rest = [inner for inner in get_args(annotation) if inner is not type(None)]
    return rest[0] if len(rest) == 1 and get_origin(annotation) is not tuple else annotation
