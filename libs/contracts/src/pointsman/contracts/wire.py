"""How wire values behave: frozen, tolerant of new fields, with content marked.

Owns the base model of everything that crosses a process, the ``Content`` marker and its removal.
Knows no subject and no message; those are in ``messages`` and ``topology``.
"""

from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, TypeVar, get_args

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


def redacted(value: BaseModel) -> dict[str, Any]:
    """Return ``value`` as JSON-ready data without any content field, at any depth."""
    return value.model_dump(mode="json", exclude=_exclusions(value))


def _exclusions(value: BaseModel) -> dict[str, Any]:
    hidden: dict[str, Any] = dict.fromkeys(content_fields(type(value)), True)
    for name in type(value).model_fields:
        if name in hidden:
            continue
        inner = _inner_exclusions(getattr(value, name))
        if inner:
            hidden[name] = inner
    return hidden


def _inner_exclusions(value: object) -> dict[Any, Any]:
    if isinstance(value, BaseModel):
        return _exclusions(value)
    if isinstance(value, tuple):
        return {
            index: hidden
            for index, item in enumerate(value)  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
            if (hidden := _inner_exclusions(item))  # pyright: ignore[reportUnknownArgumentType]
        }
    return {}
