"""Valid JSON where a request asks for it: a small instance of the schema it gives.

Covers the subset that OpenAI's structured outputs accept: types, enum, const, object, array,
anyOf, ``$ref`` into ``$defs``. Strings take words of the request, so that they are grounded.
"""

import json
import re
from typing import Any, cast

from pointsman.contracts.chat import JsonObject
from pointsman.loadgen.asks import Task, content_words

_ASKS_JSON = re.compile(r"\b(?:as|in|valid|return|only|with|into)\s+(?:a\s+|an\s+)?json\b", re.I)
_NUMBER = re.compile(r"\b\d+(?:\.\d+)?\b")
_DEEPEST = 12

_FORMATS = {
    "date": "2024-01-01",
    "date-time": "2024-01-01T00:00:00Z",
    "time": "00:00:00Z",
    "email": "user@example.com",
    "uuid": "00000000-0000-4000-8000-000000000000",
    "uri": "https://example.com/",
}


def wanted(response_format: JsonObject | None, text: str) -> JsonObject | None:
    """Return the schema that the answer must follow, ``{}`` for any object, None for prose."""
    kind = (response_format or {}).get("type")
    if kind == "json_schema":
        spec: Any = (response_format or {}).get("json_schema")
        schema: Any = cast("JsonObject", spec).get("schema") if isinstance(spec, dict) else None
        return cast("JsonObject", schema) if isinstance(schema, dict) else {}
    if kind == "json_object" or _ASKS_JSON.search(text):
        return {}
    return None


def compose(schema: JsonObject, task: Task, prose: str) -> str:
    """Return JSON text that follows ``schema``; without one, an object with the prose answer."""
    if not schema:
        return json.dumps({"request": [ask.text for ask in task.asks], "answer": prose})
    text = " ".join((*task.context, *(ask.text for ask in task.asks)))
    return json.dumps(instance(schema, text=text))


def instance(schema: JsonObject, *, text: str) -> Any:
    """Return a value that follows ``schema``, with words and numbers of ``text`` where they fit."""
    return _Builder(schema, text).build(schema, name="", depth=0)


class _Builder:
    """Walks one schema. Words are taken in order, so neighbouring fields differ."""

    def __init__(self, root: JsonObject, text: str) -> None:
        self._root = root
        self._words = content_words(text) or ("none",)
        self._numbers = [float(found) for found in _NUMBER.findall(text)]
        self._next_word = 0

    def build(self, schema: JsonObject, *, name: str, depth: int) -> Any:
        schema = self._resolved(schema)
        if depth > _DEEPEST:
            return None
        if "const" in schema:
            return schema["const"]
        if schema.get("enum"):
            return self._enum(schema["enum"])
        for key in ("anyOf", "oneOf", "allOf"):
            if schema.get(key):
                return self.build(schema[key][0], name=name, depth=depth + 1)
        match _type_of(schema):
            case "object":
                return self._object(schema, depth)
            case "array":
                least = max(1, int(schema.get("minItems", 1)))
                items: JsonObject = schema.get("items") or {"type": "string"}
                return [self.build(items, name=name, depth=depth + 1) for _ in range(least)]
            case "integer":
                return int(self._number(schema))
            case "number":
                return self._number(schema)
            case "boolean":
                return True
            case "null":
                return None
            case _:
                return self._string(schema)

    def _resolved(self, schema: JsonObject) -> JsonObject:
        reference = schema.get("$ref")
        if not isinstance(reference, str) or not reference.startswith("#/"):
            return schema
        target: Any = self._root
        for key in reference[2:].split("/"):
            target = cast("JsonObject", target).get(key, {}) if isinstance(target, dict) else {}
        return cast("JsonObject", target) if isinstance(target, dict) else {}

    def _enum(self, values: list[Any]) -> Any:
        spoken = {word.lower() for word in self._words}
        return next((value for value in values if str(value).lower() in spoken), values[0])

    def _object(self, schema: JsonObject, depth: int) -> JsonObject:
        properties = cast("dict[str, JsonObject]", schema.get("properties") or {})
        wanted_names: list[str] = list(schema.get("required") or properties)
        return {
            name: self.build(properties.get(name, {}), name=name, depth=depth + 1)
            for name in wanted_names
        }

    def _number(self, schema: JsonObject) -> float:
        value = self._numbers[0] if self._numbers else 0.0
        least, most = schema.get("minimum"), schema.get("maximum")
        if least is not None:
            value = max(value, float(least))
        return min(value, float(most)) if most is not None else value

    def _string(self, schema: JsonObject) -> str:
        if schema.get("format") in _FORMATS:
            return _FORMATS[schema["format"]]
        word = self._words[self._next_word % len(self._words)]
        self._next_word += 1
        least = int(schema.get("minLength", 0))
        return word.ljust(least, ".")[: int(schema.get("maxLength", 10_000))]


def _type_of(schema: JsonObject) -> str:
    kind: Any = schema.get("type")
    if isinstance(kind, list):
        kinds = cast("list[str]", kind)
        return next((one for one in kinds if one != "null"), "null")
    if kind is None:
        return "object" if "properties" in schema else "string"
    return str(kind)
