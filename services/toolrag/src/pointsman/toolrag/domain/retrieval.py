"""Chooses the tools of one request: two rankings fused, covered step by step, completed, cut.

Owns the ranking, how many tools are bound and in which order. All weights were tried on the dev
split of the tool retrieval data (see the README) and on the service's own catalogue; none is exact.
"""

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from pointsman.toolrag.domain.covering import Mask, Scored, covering
from pointsman.toolrag.domain.effects import wants_change
from pointsman.toolrag.domain.lexical import LexicalIndex, Rows, Scores
from pointsman.toolrag.domain.scene import providers
from pointsman.toolrag.domain.terms import query_terms, terms
from pointsman.toolrag.domain.tool import Catalogue, Tool, Vectors

LEXICAL_WEIGHT = 0.35
"""Share of BM25 in the fused score; the rest is cosine. Both are z-normalised per request."""
SERVICE_WEIGHT = 0.1
"""How much a service that is near to the request as a whole lifts its tools."""
ENTRY_POINT_WEIGHT = 0.4
"""Bonus of a tool that many others need first, such as the one that lists clusters."""
KEEP_RATIO = 0.5
"""Tools below this share of the best score are not bound, unless ``min_k`` asks for them."""
MAX_COMPANIONS = 3
"""How many tools may be added only because they fill another tool's required input."""

# OpenBLAS splits a product over threads from about 1,200 rows of 384, and these then wait for the
# next one in a busy loop: ten times the CPU. Blocks stay below that.
_BLOCK = 1_000


@dataclass(frozen=True, kw_only=True)
class Hit:
    """A chosen tool with its fused score before any penalty; comparable within one request."""

    tool: Tool
    score: float


class ToolIndex:
    """A catalogue prepared for search, in about a fifth of a second per 1,000 tools."""

    def __init__(self, catalogue: Catalogue) -> None:
        self.catalogue = catalogue
        self.tokens = catalogue.tokens
        self._lexical = LexicalIndex([_weighted_terms(tool) for tool in catalogue.tools])
        self._reads = np.array([tool.effect == "read" for tool in catalogue.tools], dtype=np.bool_)
        self._providers = providers(catalogue.tools)
        self._entry_bonus = ENTRY_POINT_WEIGHT * _entry_points(self._providers)
        self._service_of, self._centroids = _centroids(catalogue)
        self._rows_named: dict[str, list[int]] = {}
        for row, tool in enumerate(catalogue.tools):
            self._rows_named.setdefault(tool.definition.function.name, []).append(row)

    def lexical_scores(self, text: str) -> Scores:
        """Return BM25 of every tool. Shapes: (n,)."""
        return self._lexical.scores(query_terms(text))

    def cosines(self, vector: Vectors) -> Scores:
        """Return the cosine of every tool. Shapes: vector (d,), L2-normalised; result (n,)."""
        return _products(self.catalogue.vectors, vector)

    def rank(
        self, text: str, vector: Vectors, *, k: int, hidden: frozenset[str] = frozenset()
    ) -> list[Hit]:
        """Return at most ``k`` tools for ``text`` in the order of choice.

        Only reading tools are offered unless the text asks for a change; ``hidden`` are function
        names that must not be offered. Ties: lower row first.
        """
        allowed = self._allowed(text, hidden)
        rows, scores = self._ranked_rows(text, vector, k=k, allowed=allowed)
        return [Hit(tool=self.catalogue.tools[row], score=float(scores[row])) for row in rows]

    def bind(
        self,
        text: str,
        vector: Vectors,
        *,
        min_k: int,
        max_k: int,
        hidden: frozenset[str] = frozenset(),
    ) -> list[Hit]:
        """Return the tools to bind: ranked, cut where scores fall off, completed by their needs."""
        allowed = self._allowed(text, hidden)
        rows, scores = self._ranked_rows(text, vector, k=max_k, allowed=allowed)
        kept = rows[: _kept([float(scores[row]) for row in rows], min_k)]
        complete = self._completed(kept, allowed)[:max_k]
        return [Hit(tool=self.catalogue.tools[row], score=float(scores[row])) for row in complete]

    def _allowed(self, text: str, hidden: frozenset[str]) -> Mask:
        allowed = np.ones_like(self._reads) if wants_change(text) else self._reads.copy()
        for name in hidden:
            allowed[self._rows_named.get(name, [])] = False
        return allowed

    def _ranked_rows(
        self, text: str, vector: Vectors, *, k: int, allowed: Mask
    ) -> tuple[list[int], Scores]:
        if not allowed.any():
            return [], np.zeros(len(allowed), dtype=np.float32)
        words = self._lexical.matches(query_terms(text))
        lexical = words.scores()
        scale = LEXICAL_WEIGHT / _moments(lexical[allowed])[1]
        cosines = self.cosines(vector)
        mean, spread = _moments(cosines[allowed])
        near = (1 - LEXICAL_WEIGHT) * ((cosines - mean) / spread)
        near += SERVICE_WEIGHT * self._service_lift(vector)
        near += self._entry_bonus
        scored = Scored(
            words=words,
            scale=scale,
            near=near,
            scores=(scale * lexical + near).astype(np.float32, copy=False),
            service_of=self._service_of,
            allowed=allowed,
        )
        return covering(scored, k), scored.scores

    def _service_lift(self, vector: Vectors) -> Scores:
        # One more lift at the end: that of tools without a service, which are numbered -1.
        lifts = np.zeros(len(self._centroids) + 1, dtype=np.float32)
        if len(self._centroids):
            cosines = _products(self._centroids, vector)
            mean, spread = _moments(cosines)
            lifts[:-1] = (cosines - mean) / spread
        return lifts[self._service_of]

    def _completed(self, rows: list[int], allowed: Mask) -> list[int]:
        chosen: dict[int, None] = {}
        companions = 0
        for row in rows:
            for provider in self._providers[row]:
                is_new = provider not in chosen and provider not in rows
                if is_new and allowed[provider] and companions < MAX_COMPANIONS:
                    companions += 1
                    chosen[provider] = None
            chosen[row] = None
        return list(chosen)


def _kept(scores: list[float], min_k: int) -> int:
    if not scores:
        return 0
    floor = KEEP_RATIO * max(scores)
    return max(min_k, sum(score >= floor for score in scores))


def _products(vectors: Vectors, vector: Vectors) -> Scores:
    """Return ``vectors @ vector``, on this thread alone."""
    if len(vectors) <= _BLOCK:
        return vectors @ vector
    products = np.empty(len(vectors), dtype=np.float32)
    for start in range(0, len(vectors), _BLOCK):
        block = slice(start, start + _BLOCK)
        np.matmul(vectors[block], vector, out=products[block])
    return products


def _moments(values: Scores) -> tuple[np.float32, float]:
    """Return mean and standard deviation; 1 for the latter where all values are the same.

    They are the same when no word is known, or with one tool. As numpy's own, less its overhead.
    """
    mean = np.add.reduce(values) / np.float32(len(values))
    away = values - mean
    spread = float(np.sqrt(np.add.reduce(away * away) / np.float32(len(values))))
    return mean, spread if spread > 1e-6 else 1.0


def _entry_points(needed: tuple[tuple[int, ...], ...]) -> Scores:
    """How many tools need this one first, from 0 to 1 by the logarithm; ten are enough for 1."""
    counts = Counter(row for rows in needed for row in rows)
    values = [min(1.0, math.log1p(counts[row]) / math.log(10)) for row in range(len(needed))]
    return np.array(values, dtype=np.float32)


def _centroids(catalogue: Catalogue) -> tuple[Rows, Vectors]:
    rows_of: dict[str, list[int]] = {}
    for row, tool in enumerate(catalogue.tools):
        rows_of.setdefault(tool.service, []).append(row)
    rows_of.pop("", None)
    service_of: Rows = np.full(len(catalogue.tools), -1, dtype=np.intp)
    means = np.zeros((len(rows_of), catalogue.vectors.shape[1]), dtype=np.float32)
    for number, name in enumerate(sorted(rows_of)):
        service_of[rows_of[name]] = number
        means[number] = catalogue.vectors[rows_of[name]].mean(axis=0)
    lengths = np.linalg.norm(means, axis=1, keepdims=True)
    return service_of, (means / np.maximum(lengths, 1e-9)).astype(np.float32)


def _weighted_terms(tool: Tool) -> Mapping[str, float]:
    """Terms of a tool by field: its name counts double, parameters and service little."""
    weights: Counter[str] = Counter()
    parameters: Any = (tool.definition.function.parameters or {}).get("properties", {})
    inputs = " ".join(f"{name} {_description(schema)}" for name, schema in parameters.items())
    fields = (
        (tool.name, 2.0),
        (tool.title, 1.0),
        (tool.definition.function.description or "", 1.0),
        (inputs, 0.3),
    )
    for text, weight in fields:
        for term, count in Counter(terms(text)).items():
            weights[term] += count * weight  # pyright: ignore[reportArgumentType] # fractions
    for term in set(terms(tool.summary)):
        weights[term] += 0.2  # pyright: ignore[reportArgumentType] # fractions
    return weights


def _description(schema: Any) -> str:
    return str(schema.get("description") or "") if isinstance(schema, dict) else ""  # pyright: ignore[reportUnknownMemberType, reportUnknownArgumentType]
