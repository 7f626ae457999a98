"""Which tool fills which other tool's required input: the scene around a chosen tool.

Owns the dependency between schemas, found by name within one service: ``eks.DescribeCluster`` needs
``name``, ``eks.ListClusters`` yields ``clusters``. Knows nothing of scores.
Source: scenes of tools, COLT (arXiv 2405.16089); the dependency by schema is our own.
"""

import re
from collections.abc import Iterable, Sequence

from pointsman.toolrag.domain.terms import stem
from pointsman.toolrag.domain.tool import Tool

_VERB = re.compile(r"^(Admin|Batch)?[A-Z][a-z]+")
_KIND = re.compile(r"(name|id|arn|identifier)s?$")
_GENERIC = frozenset({"name", "id", "arn", "identifier"})
_PAGING = frozenset({"maxresults", "maxitems", "limit"})
"""Required here and there, but any number will do."""


def providers(tools: Sequence[Tool]) -> tuple[tuple[int, ...], ...]:
    """Return for each tool the rows of the tools that yield its required inputs, in their order.

    Per input at most one: a reading tool of the same service which needs less itself; among several
    the one named after the input, then the one with fewest inputs and most outputs.
    """
    yields: dict[tuple[str, str], list[int]] = {}
    for row, tool in enumerate(tools):
        if tool.effect == "read":
            for key in sorted({_key(output) for output in tool.outputs}):
                yields.setdefault((tool.service, key), []).append(row)
    return tuple(_providers_of(row, tools, yields) for row in range(len(tools)))


def _providers_of(
    row: int, tools: Sequence[Tool], yields: dict[tuple[str, str], list[int]]
) -> tuple[int, ...]:
    tool = tools[row]
    found: dict[int, None] = {}
    for needed in filter(_names_a_thing, tool.required):
        root, keys = _wanted(tool, needed)
        rows = {at for key in keys for at in yields.get((tool.service, key), ())}
        able = [at for at in rows if at != row and _needs_less(tools[at], tool, needed)]
        if able:
            best = min(able, key=lambda at: _rank(tools[at], root))
            found[best] = None
    return tuple(found)


def _wanted(tool: Tool, needed: str) -> tuple[str, Iterable[str]]:
    """Return what the input is about, and the output names that would fill it."""
    if needed.lower() in _GENERIC:
        about = _key(_VERB.sub("", tool.name))
        return about, (about, _key(about + needed))
    root = _key(_KIND.sub("", needed.lower()))
    return root, (_key(needed), root)


def _names_a_thing(needed: str) -> bool:
    return _KIND.search(needed.lower()) is not None


def _needs_less(provider: Tool, tool: Tool, needed: str) -> bool:
    inputs = {name for name in provider.required if name.lower() not in _PAGING}
    return needed not in inputs and inputs < set(tool.required)


def _rank(provider: Tool, root: str) -> tuple[object, ...]:
    about = _key(_VERB.sub("", provider.name))
    return (
        about != root,
        len(provider.required),
        not provider.name.startswith(("List", "Describe")),
        -len(provider.outputs),
        provider.tool_id,
    )


def _key(name: str) -> str:
    return stem(re.sub(r"[^a-z0-9]", "", name.lower()))
