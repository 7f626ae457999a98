"""What a simulated model says as critic: a review in the form asked for, made of plain checks.

A review is known by the name of its JSON schema, its material by the fences around the parts. The
checks look at words alone; each reason says that it is simulated. It judges no truth.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final, cast

from pointsman.contracts.chat import ChatRequest, JsonObject
from pointsman.loadgen.asks import ACTION_VERBS, WRITE_VERBS, Ask, content_words, parse, words_of

_CODE = re.compile(r"\ACODE is ([0-9a-f]{16})\.\n")
_NUMBER = re.compile(r"\d+(?:\.\d+)?")
_ITEM = re.compile(r"^\s*(?:[-*•]|\d+[.)])\s", re.MULTILINE)
_REFUSES = re.compile(r"\bI(?:'m| am)? (?:sorry|cannot|can't|can not|unable)\b", re.IGNORECASE)
_CALL = re.compile(r"^call (\S+) (.*)$", re.MULTILINE)
_TOOL = re.compile(r"^(\S+) \((read|write)\):", re.MULTILINE)
_COVERED: Final = 0.5
"""Share of a request's words that an answer to it takes up."""

_SHARED_LETTERS: Final = 5


def review(request: ChatRequest) -> str | None:
    """Return the reply to a critic's request as JSON text; None if the request is no review."""
    wanted: Any = (request.response_format or {}).get("json_schema")
    name = cast("JsonObject", wanted).get("name") if isinstance(wanted, dict) else None
    first = next((message.text for message in request.messages if message.role == "user"), "")
    code = _CODE.match(first)
    if code is None:
        return None
    checks = _REVIEWS.get(str(name))
    return None if checks is None else json.dumps(checks(_parts(first, code[1])))


def _parts(text: str, code: str) -> dict[str, str]:
    """The fenced parts by name; what lies about its fence belongs to the part around it."""
    fenced = re.compile(rf"<<<([A-Z][A-Z0-9 ]*) {code}>>>\n(.*?)\n<<<END \1 {code}>>>", re.DOTALL)
    return {found[1]: found[2] for found in fenced.finditer(text)}


def _item(score: int, reason: str) -> JsonObject:
    return {"reason": f"Simulated check: {reason}.", "score": score}


def _of_answer(parts: Mapping[str, str], name: str = "ANSWER") -> JsonObject:
    answer = parts.get(name, "")
    asks = parse(parts.get("REQUEST", "")).asks
    spoken = _beginnings(words_of(answer))
    missing = [ask for ask in asks if not _is_covered(ask, answer, spoken)]
    done = (len(asks) - len(missing)) / len(asks)
    strange = _strange_numbers(parts, answer)
    serves = any(_share(content_words(ask.text), spoken) > 0 for ask in asks)
    is_whole = answer.rstrip().endswith((".", "!", "?", ")", "`", "}", "]", '"', ":"))
    left_out = "; ".join(ask.text for ask in missing) or "nothing"
    return {
        "accuracy": _item(
            (1 if strange else 3) if serves else 0,
            f"{len(strange)} numbers are in no document",
        ),
        "completeness": _item(round(3 * done), f"left out: {left_out}"),
        "relevance": _item(2 * serves, "words of the request taken up" if serves else "none is"),
        "clarity": _item(1 + is_whole if answer else 0, "it ends" if is_whole else "it breaks off"),
        "is_fulfilled": done > 0 and serves and not _REFUSES.search(answer),
    }


def _is_covered(ask: Ask, answer: str, spoken: frozenset[str]) -> bool:
    if ask.count is not None and len(_ITEM.findall(answer)) < ask.count:
        return False
    return _share(content_words(ask.text), spoken) >= _COVERED


def _share(words: Iterable[str], spoken: frozenset[str]) -> float:
    wanted = _beginnings(words)
    return len(wanted & spoken) / len(wanted) if wanted else float(bool(spoken))


def _beginnings(words: Iterable[str]) -> frozenset[str]:
    """Words by their first letters, so that ``brew`` and ``brewing`` are one."""
    return frozenset(word.lower()[:_SHARED_LETTERS] for word in words)


def _strange_numbers(parts: Mapping[str, str], answer: str) -> set[str]:
    """Numbers that the answer has from nowhere, where there are documents to have them from."""
    if not any(name.startswith("DOCUMENT") for name in parts):
        return set()
    known = " ".join(text for name, text in parts.items() if not name.startswith("ANSWER"))
    return set(_NUMBER.findall(_ITEM.sub("", answer))) - set(_NUMBER.findall(known))


def _of_plan(parts: Mapping[str, str]) -> JsonObject:
    request = parts.get("REQUEST", "")
    calls: list[tuple[str, str]] = _CALL.findall(parts.get("PLAN", ""))
    effects = dict(cast("list[tuple[str, str]]", _TOOL.findall(parts.get("TOOLS", ""))))
    writes = [name for name, _ in calls if effects.get(name) == "write"]
    asks_to_act = not (ACTION_VERBS | WRITE_VERBS).isdisjoint(words_of(request.lower()))
    offered = [name for name, _ in calls if name in effects]
    known = " ".join(text for name, text in parts.items() if name not in {"PLAN", "TOOLS"}).lower()
    values = [value for _, arguments in calls for value in _values(arguments)]
    guessed = [value for value in values if value.lower() not in known]
    return {
        "necessary": _item(
            (2 if len(set(calls)) == len(calls) else 1) if calls else 0,
            f"{len(calls)} calls, {len(set(calls))} different",
        ),
        "sufficient": _item(
            3 if calls and len(offered) == len(calls) else 0,
            f"{len(offered)} of {len(calls)} calls are of offered tools",
        ),
        "grounded": _item(
            round(3 * (1 - len(guessed) / len(values))) if values else 3,
            f"{len(guessed)} of {len(values)} values are in no text",
        ),
        "harmless": _item(
            0 if writes and not asks_to_act else 2,
            f"{len(writes)} calls change something, {'' if asks_to_act else 'un'}asked",
        ),
    }


def _values(arguments: str) -> Iterator[str]:
    """The words and numbers of a call's arguments; malformed ones count as a guess."""
    try:
        waiting: list[Any] = [json.loads(arguments)]
    except ValueError:
        yield arguments
        return
    while waiting:
        value: Any = waiting.pop()
        if isinstance(value, dict):
            waiting += cast("JsonObject", value).values()
        elif isinstance(value, list):
            waiting += cast("list[Any]", value)
        elif value is not None and not isinstance(value, bool):
            yield str(value)


def _of_pair(parts: Mapping[str, str]) -> JsonObject:
    first, second = (_total(_of_answer(parts, f"ANSWER {letter}")) for letter in "AB")
    better = "tie" if first == second else "A" if first > second else "B"
    return {"reason": f"Simulated check: {first} against {second}.", "better": better}


def _total(said: JsonObject) -> int:
    return sum(cast("JsonObject", said[name])["score"] for name in _SCORED)


_SCORED = ("accuracy", "completeness", "relevance", "clarity")
_REVIEWS: Final[Mapping[str, Callable[[Mapping[str, str]], JsonObject]]] = {
    "pointsman_answer_review": _of_answer,
    "pointsman_plan_review": _of_plan,
    "pointsman_pair_review": _of_pair,
}
"""By the name of the schema, as the judge's rubrics spell it."""
