"""From a botocore input shape to a JSON Schema that a model can fill.

Owns types, bounds and texts. Property names stay botocore's, since the executor passes them on.
Nested detail is given up step by step where a schema would grow past a budget: the finding filters
of SecurityHub alone would otherwise cost more tokens than the rest of a prompt.
"""

import html
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pointsman.contracts.chat import JsonObject

_TAG = re.compile(r"<[^>]*>")
_BLOCK_END = re.compile(r"</(p|li|dd|dt|note|important|fullname|h\d)>|<br\s*/?>", re.IGNORECASE)
_SENTENCE = re.compile(r"(?<=[.!?])\s+(?=[A-Z0-9\"'`(])")
_SPACES = re.compile(r"\s+")
_MAX_ENUM = 60
_SCALARS = {
    "string": "string",
    "character": "string",
    "timestamp": "string",
    "blob": "string",
    "integer": "integer",
    "long": "integer",
    "float": "number",
    "double": "number",
    "boolean": "boolean",
}


@dataclass(frozen=True, kw_only=True)
class Detail:
    """How much of a shape is written out: nested objects, characters of text.

    Below ``depth`` an object is only described by the first ``field_names`` of its fields.
    """

    depth: int
    text: int
    nested_text: int = 0
    field_names: int = 0


DETAILS: tuple[Detail, ...] = (
    Detail(depth=5, text=120, nested_text=60, field_names=20),
    Detail(depth=4, text=120, field_names=20),
    Detail(depth=3, text=100, field_names=20),
    Detail(depth=2, text=80, field_names=20),
    Detail(depth=1, text=80, field_names=40),
    Detail(depth=1, text=0),
)
"""From rich to bare; the first whose schema fits its budget is used."""


def plain_text(documentation: str, *, limit: int) -> str:
    """Return the first whole sentences of HTML documentation, at most ``limit`` characters."""
    text = _BLOCK_END.sub(" ", documentation)
    text = _SPACES.sub(" ", html.unescape(_TAG.sub("", text))).strip()
    if len(text) <= limit:
        return text
    kept = ""
    for sentence in _SENTENCE.split(text):
        longer = f"{kept} {sentence}".strip()
        if len(longer) > limit:
            break
        kept = longer
    return kept or text[: limit - 3].rsplit(" ", 1)[0] + "..."


def input_schemas(shape: Any) -> Iterator[JsonObject]:
    """Yield JSON Schemas of an operation's input (a botocore shape or None), richest first."""
    if shape is None:
        yield {"type": "object", "properties": {}}
        return
    for detail in DETAILS:
        yield _schema(shape, detail, seen=(), text=0)


def is_filled_by_botocore(member: Any) -> bool:
    """Whether botocore makes up the value itself, so that no model needs to know of it."""
    return bool(member.metadata.get("idempotencyToken"))


def _schema(shape: Any, detail: Detail, *, seen: tuple[str, ...], text: int) -> JsonObject:
    schema = _typed(shape, detail, seen)
    words = plain_text(shape.documentation, limit=text) if text else ""
    if words:
        schema["description"] = f"{words} {schema.get('description', '')}".strip()
    return schema


def _typed(shape: Any, detail: Detail, seen: tuple[str, ...]) -> JsonObject:
    match shape.type_name:
        case "structure":
            return _structure(shape, detail, seen)
        case "list":
            items = _schema(shape.member, detail, seen=seen, text=0)
            return {"type": "array", "items": items}
        case "map":
            values = _schema(shape.value, detail, seen=seen, text=0)
            return {"type": "object", "additionalProperties": values}
        case name:
            return _scalar(shape, name)


def _structure(shape: Any, detail: Detail, seen: tuple[str, ...]) -> JsonObject:
    if shape.name in seen or shape.metadata.get("document"):
        return {"type": "object"}
    if len(seen) >= detail.depth:
        return _cut(shape, detail)
    inside = (*seen, shape.name)
    text = detail.text if not seen else detail.nested_text
    schema: JsonObject = {
        "type": "object",
        "properties": {
            name: _schema(member, detail, seen=inside, text=text)
            for name, member in shape.members.items()
            if not is_filled_by_botocore(member)
        },
    }
    required = [name for name in shape.required_members if name in schema["properties"]]
    if required:
        schema["required"] = required
    return schema


def _cut(shape: Any, detail: Detail) -> JsonObject:
    names = [name for name, member in shape.members.items() if not is_filled_by_botocore(member)]
    if not names or not detail.field_names:
        return {"type": "object"}
    listed = ", ".join(names[: detail.field_names]) + (
        ", ..." if len(names) > detail.field_names else ""
    )
    return {"type": "object", "description": f"Fields: {listed}."}


def _scalar(shape: Any, name: str) -> JsonObject:
    schema: JsonObject = {"type": _SCALARS.get(name, "string")}
    if name == "timestamp":
        schema["format"] = "date-time"
    enum = shape.metadata.get("enum", ())
    if 0 < len(enum) <= _MAX_ENUM:
        schema["enum"] = list(enum)
    if schema["type"] == "integer":
        for bound, keyword in (("min", "minimum"), ("max", "maximum")):
            if bound in shape.metadata:
                schema[keyword] = shape.metadata[bound]
    return schema
