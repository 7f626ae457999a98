"""Which tools a simulated model calls, and with what arguments.

Tools are ranked by the words they share with the request; reading is preferred, and a tool that
changes something is called only when the request says its verb. A call is made only with arguments
that can be filled: from enums, from earlier results, from the request. No call is made twice.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from pointsman.contracts.chat import FunctionDefinition, JsonObject, ToolDefinition
from pointsman.loadgen.asks import content_words, words_of
from pointsman.loadgen.json_answers import instance
from pointsman.loadgen.tool_results import ToolResult, known_values, normal

READ_VERBS = frozenset(
    {"list", "get", "describe", "lookup", "search", "filter", "find", "read", "fetch", "query"}
    | {"batch", "show", "count", "check", "calculate", "convert", "translate", "view"}
)
WRITE_VERBS = frozenset(
    {"create", "delete", "update", "put", "remove", "attach", "detach", "add", "set", "modify"}
    | {"disable", "enable", "terminate", "stop", "start", "reset", "tag", "untag", "send", "post"}
    | {"import", "register", "deregister", "associate", "disassociate", "invite", "cancel"}
    | {"accept", "decline", "archive", "unarchive", "change", "confirm", "revoke", "subscribe"}
    | {"execute", "simulate", "test", "generate", "upload", "sign", "resync", "rotate", "run"}
)
_PAGE_SIZE_NAMES = frozenset({"maxresults", "limit", "maxitems", "pagesize"})
PAGE_SIZE = 10
_BARE = frozenset({"name", "id", "arn", "identifier"})
_NAMING = ("name", "id", "arn")
_FREE_TEXT = frozenset({"query", "text", "q", "question", "prompt", "input", "expression"})
_PROPER_NAMES = frozenset(
    {"city", "location", "place", "country", "destination", "origin", "symbol", "ticker", "company"}
    | {"person", "town", "region"}
)
_PROPER = re.compile(r"(?<!^)(?<![.?!]\s)\b[A-Z][\w-]*(?:\s[A-Z][\w-]*)*")
_QUOTED = re.compile(r"""["'`]([^"'`]{1,80})["'`]""")
_NUMBER = re.compile(r"(?<![\w.])-?\d+(?:\.\d+)?(?![\w.])")


@dataclass(frozen=True, kw_only=True)
class Choice:
    """A call the model wants: tool name and arguments as JSON text."""

    name: str
    arguments: str


def choose(
    text: str, tools: Sequence[ToolDefinition], results: Sequence[ToolResult], *, limit: int
) -> tuple[Choice, ...]:
    """Return at most ``limit`` calls, best first; empty when no tool helps or can be filled."""
    known = known_values(results)
    done = {(result.tool, result.arguments) for result in results}
    failed = {result.tool for result in results if result.is_error}
    ranked = sorted(
        ((_score(tool.function, text), tool.function) for tool in tools), key=lambda pair: -pair[0]
    )
    if not ranked or ranked[0][0] < 1:
        return ()
    chosen: list[tuple[int, Choice]] = []
    for score, tool in ranked:
        if score <= 0 or tool.name in failed or (not known and _waits_for_a_name(tool)):
            continue
        for arguments in _fillings(tool, text, known):
            choice = Choice(name=tool.name, arguments=arguments)
            if (choice.name, choice.arguments) not in done:
                was_called = any(name == tool.name for name, _ in done)
                chosen.append((was_called, choice))
                break
    # A tool not used yet tells more than the second page of one that was.
    chosen.sort(key=lambda pair: pair[0])
    return tuple(choice for _, choice in chosen[:limit])


def forced(text: str, tool: ToolDefinition, results: Sequence[ToolResult]) -> Choice:
    """Return a call of ``tool`` whether or not its arguments can be filled well."""
    filled = _fillings(tool.function, text, known_values(results))
    if filled:
        return Choice(name=tool.function.name, arguments=filled[0])
    schema = tool.function.parameters or {"type": "object"}
    return Choice(name=tool.function.name, arguments=json.dumps(instance(schema, text=text)))


def _score(tool: FunctionDefinition, text: str) -> float:
    """How well a tool fits: shared words, with names worth more; 0 or less means never."""
    wanted = {_stem(word) for word in content_words(text)}
    name_words = [_stem(word) for word in _name_words(tool.name)]
    verbs = {word for word in _name_words(tool.name)[:3] if word in WRITE_VERBS}
    reads = any(word in READ_VERBS for word in _name_words(tool.name)[:3])
    if verbs and not reads and not ({_stem(verb) for verb in verbs} & wanted):
        return 0.0
    in_name = sum(any(_meets(word, part) for part in name_words) for word in wanted)
    described = {_stem(word) for word in content_words((tool.description or "")[:400])}
    return 3.0 * in_name + len(wanted & described) + (0.5 if reads else 0.0)


def _meets(word: str, part: str) -> bool:
    return word == part or (len(word) > 4 and word in part)


def _name_words(name: str) -> list[str]:
    return [word.lower() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+", name)]


def _stem(word: str) -> str:
    word = word.lower()
    for ending in ("ing", "ed", "es", "s"):
        if word.endswith(ending) and len(word) - len(ending) > 2:
            return word[: -len(ending)]
    return word


def _fillings(
    tool: FunctionDefinition, text: str, known: Mapping[str, tuple[str, ...]]
) -> list[str]:
    """Return the possible arguments of a call as JSON texts; empty if a required one is unknown."""
    schema = tool.parameters or {}
    properties = cast("dict[str, JsonObject]", schema.get("properties") or {})
    required: list[str] = list(schema.get("required") or ())
    arguments: list[JsonObject] = [{}]
    for name in required:
        values = _values(name, properties.get(name, {}), tool, text, known)
        if not values:
            return []
        # Only the first argument varies: one page per known thing, not every combination.
        if len(arguments) == 1 and len(values) > 1:
            arguments = [{**arguments[0], name: value} for value in values]
        else:
            arguments = [{**filled, name: values[0]} for filled in arguments]
    pages = {
        name: min(PAGE_SIZE, int(spec.get("maximum", PAGE_SIZE)))
        for name, spec in properties.items()
        if normal(name) in _PAGE_SIZE_NAMES and spec.get("type") == "integer"
    }
    if len(arguments) == 1:
        narrowed = _narrowing(properties, required, known)
        arguments = [{**narrow, **arguments[0]} for narrow in narrowed]
    return [json.dumps({**pages, **filled}) for filled in arguments]


def _narrowing(
    properties: Mapping[str, JsonObject],
    required: Sequence[str],
    known: Mapping[str, Sequence[str]],
) -> list[JsonObject]:
    """One optional argument that names a thing found before, such as a log group; or nothing."""
    for name, spec in properties.items():
        plain = normal(name)
        if name in required or spec.get("type") != "string" or plain in _BARE:
            continue
        if plain.endswith(_NAMING) and known.get(plain):
            return [{name: value} for value in known[plain]]
    return [{}]


def _waits_for_a_name(tool: FunctionDefinition) -> bool:
    """Whether a tool looks into one thing, which a list has to name first."""
    properties = cast("dict[str, JsonObject]", (tool.parameters or {}).get("properties") or {})
    looks_into = _name_words(tool.name)[-3:]
    return any(word in {"filter", "lookup", "query"} for word in looks_into) and any(
        normal(name).endswith(_NAMING) for name in properties
    )


def _values(
    name: str,
    schema: JsonObject,
    tool: FunctionDefinition,
    text: str,
    known: Mapping[str, tuple[str, ...]],
) -> list[Any]:
    if "const" in schema:
        return [schema["const"]]
    if "default" in schema:
        return [schema["default"]]
    if schema.get("enum"):
        spoken = {word.lower() for word in words_of(text)}
        options: list[Any] = schema["enum"]
        return [next((one for one in options if str(one).lower() in spoken), options[0])]
    match schema.get("type", "string"):
        case "string":
            return _strings(name, tool, text, known)
        case "array":
            items = cast("JsonObject", schema.get("items") or {})
            inner = _values(name.removesuffix("s"), items, tool, text, known)
            return [inner[:PAGE_SIZE]] if inner else []
        case "integer":
            return [int(float(found)) for found in _NUMBER.findall(text)[:1]]
        case "number":
            return [float(found) for found in _NUMBER.findall(text)[:1]]
        case "boolean":
            return [False]
        case "object":
            return [] if schema.get("required") else [{}]
        case _:
            return []


def _strings(
    name: str, tool: FunctionDefinition, text: str, known: Mapping[str, tuple[str, ...]]
) -> list[Any]:
    plain = normal(name)
    noun = "".join(_name_words(tool.name)[-2:])
    last_noun = _name_words(tool.name)[-1:] or [""]
    names = [plain, last_noun[0] + plain, noun + plain, plain.removesuffix("name")]
    if plain in _BARE:
        # A bare "name" says nothing of whose; only the tool's own noun does.
        names = names[1:3]
    for candidate in names:
        if known.get(candidate):
            return list(known[candidate])
    quoted = _QUOTED.findall(text)
    if quoted:
        return quoted[:1]
    if plain in _FREE_TEXT:
        return [text]
    if plain in _PROPER_NAMES:
        return _PROPER.findall(text)[-1:]
    return []
