"""How retrieval grows with the catalogue: ``python -m pointsman.toolrag.growth --data DIR``.

Owns catalogues of any size made of real tools, and the table. The vectors are sums of fixed random
directions of words: they cost what the model's cost, need no model, and say nothing of quality.
"""

import argparse
import hashlib
import json
import sys
import time
import tracemalloc
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from pointsman.toolrag.domain import DIMENSIONS, Catalogue, Tool, ToolIndex, Vectors, terms
from pointsman.toolrag.evaluate import SOURCES, read_tools

SIZES: Final = (100, 1_000, 10_000)
CATALOGUES: Final = ("bfcl", "bfcl_mt", "stb", "toole", "toollens")
VARIANTS: Final = ("europe", "asia", "legacy", "archive", "beta", "staging", "mobile", "partner")
LONG_CHARACTERS: Final = 10_000
REPEATS: Final = 5
MIN_K, MAX_K = 3, 8


class WordDirections:
    """Turns texts into vectors without a model. Same text, same vector."""

    def __init__(self) -> None:
        self._known: dict[str, Vectors] = {}

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Return one L2-normalised float32 row per text."""
        rows = np.zeros((len(texts), DIMENSIONS), dtype=np.float32)
        for at, text in enumerate(texts):
            for term in terms(text):
                rows[at] += self._direction(term)
        lengths = np.linalg.norm(rows, axis=1, keepdims=True)
        return (rows / np.maximum(lengths, 1e-9)).astype(np.float32)

    def _direction(self, term: str) -> Vectors:
        if term not in self._known:
            seed = int.from_bytes(hashlib.sha256(term.encode()).digest()[:8])
            normal = np.random.default_rng(seed).standard_normal(DIMENSIONS)
            self._known[term] = normal.astype(np.float32)
        return self._known[term]


@dataclass(frozen=True, kw_only=True)
class Growth:
    """One row of the table. CPU of all threads, in milliseconds a request, but for ``build_s``."""

    tools: int
    build_s: float
    index_mb: float
    vectors_mb: float
    p50_ms: float
    p95_ms: float
    long_ms: float

    def __str__(self) -> str:
        return (
            f"{self.tools:>7} {self.build_s:>8.2f} {self.index_mb:>9.1f} {self.vectors_mb:>11.1f} "
            f"{self.p50_ms:>8.3f} {self.p95_ms:>8.3f} {self.long_ms:>13.3f}"
        )


HEADING: Final = (
    f"{'tools':>7} {'build s':>8} {'index MB':>9} {'vectors MB':>11} "
    f"{'p50 ms':>8} {'p95 ms':>8} {f'{LONG_CHARACTERS} chars':>13}"
)


def grown(real: Sequence[Tool], size: int) -> tuple[Tool, ...]:
    """Return ``size`` different tools: real ones, then the same again for another occasion."""
    return tuple(_variant(real[at % len(real)], at // len(real)) for at in range(size))


def _variant(tool: Tool, number: int) -> Tool:
    if number == 0:
        return tool
    word = VARIANTS[(number - 1) % len(VARIANTS)] + str((number - 1) // len(VARIANTS) or "")
    return tool.model_copy(
        update={
            "tool_id": f"{tool.tool_id}:{word}",
            "name": f"{tool.name} {word}",
            "service": f"{tool.service} {word}" if tool.service else "",
            "title": f"{tool.title} {word}",
        }
    )


def measured(tools: tuple[Tool, ...], texts: Sequence[str], embedder: WordDirections) -> Growth:
    """Build an index of ``tools`` and ask it every text, each at its best of some repeats."""
    catalogue = Catalogue(tools=tools, vectors=embedder.embed([tool.text for tool in tools]))
    started = time.process_time()
    index = ToolIndex(catalogue)
    build_s = time.process_time() - started
    costs = [
        _cost_ms(index, text, vector)
        for text, vector in zip(texts, embedder.embed(texts), strict=True)
    ]
    long = " ".join(texts)[:LONG_CHARACTERS]
    return Growth(
        tools=len(tools),
        build_s=build_s,
        index_mb=_index_mb(catalogue),
        vectors_mb=catalogue.vectors.nbytes / 1e6,
        p50_ms=float(np.quantile(costs, 0.5)),
        p95_ms=float(np.quantile(costs, 0.95)),
        long_ms=_cost_ms(index, long, embedder.embed([long])[0]),
    )


def _cost_ms(index: ToolIndex, text: str, vector: Vectors) -> float:
    costs: list[float] = []
    for _ in range(REPEATS):
        started = time.process_time()
        index.bind(text, vector, min_k=MIN_K, max_k=MAX_K)
        costs.append(time.process_time() - started)
    return 1000 * min(costs)


def _index_mb(catalogue: Catalogue) -> float:
    # Its own build, because tracing slows one down.
    tracemalloc.start()
    index = ToolIndex(catalogue)
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    del index
    return held / 1e6


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Print what one request costs, by catalogue size.")
    parser.add_argument("--data", type=Path, default=Path("../shared/data/toolrag"))
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, help="numbers of tools")
    parser.add_argument("--requests", type=int, default=300, help="real requests asked")
    options = parser.parse_args(arguments)
    if not (options.data / "queries.jsonl").is_file():
        raise SystemExit(f"{options.data}: no queries.jsonl here; nothing was measured")
    texts = read_texts(options.data, options.requests)
    real = [tool for source in CATALOGUES for tool in read_tools(options.data, source)]
    real.sort(key=lambda tool: hashlib.sha256(tool.tool_id.encode()).digest())
    embedder = WordDirections()
    _say(f"{len(real)} real tools, {len(texts)} real requests; CPU of all threads, best of 5")
    _say(HEADING)
    for size in options.sizes:
        _say(str(measured(grown(real, size), texts, embedder)))


def read_texts(folder: Path, limit: int) -> list[str]:
    """Return the words of ``limit`` requests, chosen by the hash of their ids."""
    with (folder / "queries.jsonl").open(encoding="utf-8") as lines:
        rows = [row for line in lines if (row := json.loads(line))["source"] in SOURCES]
    rows.sort(key=lambda row: hashlib.sha256(row["id"].encode()).digest())
    return [row["query"] for row in rows[:limit]]


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
