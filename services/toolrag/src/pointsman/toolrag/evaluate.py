"""Measures retrieval on labelled requests: ``python -m pointsman.toolrag.evaluate --data DIR``.

Owns reading that data and the metrics (R@k, COMP@k). The service's own catalogue has no labels, so
this judges the ranking on other catalogues; effects and companions play no part in them.
With ``--reference`` it does so again with sentence-transformers, and says how far the two agree.
"""

import argparse
import hashlib
import json
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from pointsman.contracts.chat import FunctionDefinition, ToolDefinition
from pointsman.toolrag.adapters.embedding import MiniLmEmbedder, ReferenceEmbedder
from pointsman.toolrag.domain import Catalogue, Embedder, Tool, ToolIndex, Vectors

SOURCES: Final = ("toollens", "bfcl", "toole_multi")
CATALOGUE_OF: Final = {"toole_multi": "toole", "stb_g1": "stb"}
K: Final = 5

Ranking = Callable[[str, Vectors], Sequence[str]]


@dataclass(frozen=True, kw_only=True)
class Labelled:
    """A request and what it needs: groups of tool ids, each met by any one of its ids."""

    text: str
    needed: tuple[frozenset[str], ...]


@dataclass(frozen=True, kw_only=True)
class Score:
    """Means over requests, 0 to 1: share of needed tools in the top k, and share complete."""

    recall: float
    complete: float


def score(ranked: Sequence[str], needed: Sequence[frozenset[str]]) -> Score:
    """Return recall and completeness of one ranking. Source: COLT, arXiv 2405.16089."""
    met = sum(bool(group & set(ranked[:K])) for group in needed)
    return Score(recall=met / len(needed), complete=float(met == len(needed)))


def read_tools(folder: Path, source: str) -> tuple[Tool, ...]:
    with (folder / "tools.jsonl").open(encoding="utf-8") as lines:
        return tuple(_tool(row) for line in lines if (row := json.loads(line))["source"] == source)


def read_requests(folder: Path, source: str, *, split: str, limit: int) -> list[Labelled]:
    """Return ``limit`` labelled requests of a source, chosen by the hash of their ids."""
    with (folder / "queries.jsonl").open(encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    chosen = [
        row for row in rows if row["source"] == source and row["split"] == split and row["tool_ids"]
    ]
    chosen.sort(key=lambda row: hashlib.sha256(row["id"].encode()).digest())
    return [
        Labelled(
            text=row["query"],
            needed=tuple(
                frozenset(group)
                for group in row.get("any_of") or [[tool_id] for tool_id in row["tool_ids"]]
            ),
        )
        for row in chosen[:limit]
    ]


def rankings(index: ToolIndex) -> dict[str, Ranking]:
    """The three ways compared: words alone, vectors alone, and what the service does."""
    ids = [tool.tool_id for tool in index.catalogue.tools]

    def best(values: Any) -> list[str]:
        return [ids[row] for row in (-values).argsort(kind="stable")[:K]]

    return {
        "lexical": lambda text, _vector: best(index.lexical_scores(text)),
        "vector": lambda _text, vector: best(index.cosines(vector)),
        "hybrid": lambda text, vector: [h.tool.tool_id for h in index.rank(text, vector, k=K)],
    }


def evaluate(index: ToolIndex, requests: list[Labelled], vectors: Vectors) -> dict[str, Score]:
    """Return the mean score of each way. Shapes: vectors (requests, d)."""
    results: dict[str, Score] = {}
    for way, rank in rankings(index).items():
        scores = [
            score(rank(request.text, vector), request.needed)
            for request, vector in zip(requests, vectors, strict=True)
        ]
        results[way] = Score(
            recall=sum(one.recall for one in scores) / len(scores),
            complete=sum(one.complete for one in scores) / len(scores),
        )
    return results


@dataclass(frozen=True, kw_only=True)
class Measured:
    """One source with one embedder: scores by way, and what the service would put first."""

    vectors: Vectors
    scores: dict[str, Score]
    first: list[tuple[str, ...]]


def measure(tools: Sequence[Tool], requests: list[Labelled], embedder: Embedder) -> Measured:
    vectors = embedder.embed([tool.text for tool in tools])
    index = ToolIndex(Catalogue(tools=tuple(tools), vectors=vectors))
    asked = embedder.embed([request.text for request in requests])
    rank = rankings(index)["hybrid"]
    return Measured(
        vectors=np.concatenate([vectors, asked]),
        scores=evaluate(index, requests, asked),
        first=[
            tuple(rank(request.text, vector))
            for request, vector in zip(requests, asked, strict=True)
        ],
    )


def agreement(served: Measured, reference: Measured) -> str:
    """Return how far two embedders agree, on vectors and on the first five tools."""
    cosines = (served.vectors * reference.vectors).sum(axis=1)
    pairs = list(zip(served.first, reference.first, strict=True))
    shared = sum(len({*ours} & {*theirs}) / len(theirs) for ours, theirs in pairs) / len(pairs)
    return (
        f"cosine mean {cosines.mean():.4f} min {cosines.min():.4f}; "
        f"same tool first {_share(a[0] == b[0] for a, b in pairs)}, "
        f"same five {_share(set(a) == set(b) for a, b in pairs)}, "
        f"shared of five {100 * shared:.1f} %"
    )


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Measure tool retrieval on labelled requests.")
    parser.add_argument("--data", type=Path, default=Path("../shared/data/toolrag"))
    parser.add_argument("--limit", type=int, default=300, help="requests per source")
    parser.add_argument("--source", action="append", help=f"default: {', '.join(SOURCES)}")
    parser.add_argument("--embedder", type=Path, default=Path(".state/embedder"))
    parser.add_argument(
        "--reference", action="store_true", help="measure with sentence-transformers too"
    )
    options = parser.parse_args(arguments)
    if not (options.data / "queries.jsonl").is_file():
        raise SystemExit(f"{options.data}: no queries.jsonl here; nothing was measured")
    with MiniLmEmbedder(options.embedder) as embedder:
        embedders: dict[str, Embedder] = {"int8": embedder}
        if options.reference:
            embedders["fp32"] = ReferenceEmbedder()
        _say(
            f"{'source':<12} {'tools':>6} {'requests':>8}  {'runtime':<8}{'way':<8} "
            f"{'R@5':>6} {'COMP@5':>7}"
        )
        for source in options.source or SOURCES:
            tools = read_tools(options.data, CATALOGUE_OF.get(source, source))
            requests = read_requests(options.data, source, split="dev", limit=options.limit)
            _report(source, tools, requests, embedders)


def _report(
    source: str,
    tools: tuple[Tool, ...],
    requests: list[Labelled],
    embedders: Mapping[str, Embedder],
) -> None:
    started = time.perf_counter()
    found = {name: measure(tools, requests, embedder) for name, embedder in embedders.items()}
    for name, measured in found.items():
        for way, result in measured.scores.items():
            _say(
                f"{source:<12} {len(tools):>6} {len(requests):>8}  {name:<8}{way:<8} "
                f"{100 * result.recall:>6.1f} {100 * result.complete:>7.1f}"
            )
    if "fp32" in found:
        _say(f"{source:<12} {agreement(found['int8'], found['fp32'])}")
    _say(f"{source:<12} took {time.perf_counter() - started:.0f} s")


def _share(same: Iterable[bool]) -> str:
    found = list(same)
    return f"{100 * sum(found) / len(found):.1f} %"


def _tool(row: dict[str, Any]) -> Tool:
    schema: dict[str, Any] = row.get("input_schema") or {"type": "object", "properties": {}}
    return Tool(
        tool_id=row["id"],
        name=row["name"],
        service=row.get("group") or "",
        title=row.get("group") or "",
        effect="read",
        required=tuple(schema.get("required") or ()),
        outputs=(),
        tokens=0,
        definition=ToolDefinition(
            function=FunctionDefinition(
                name=row["name"][:64], description=row.get("description"), parameters=schema
            )
        ),
    )


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
