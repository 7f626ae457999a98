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
from numpy.typing import NDArray

from pointsman.toolrag.domain.effects import wants_change
from pointsman.toolrag.domain.lexical import LexicalIndex, Scores
from pointsman.toolrag.domain.scene import providers
from pointsman.toolrag.domain.terms import query_terms, terms
from pointsman.toolrag.domain.tool import Catalogue, Tool, Vectors

LEXICAL_WEIGHT = 0.35
"""Share of BM25 in the fused score; the rest is cosine. Both are z-normalised per request."""
COVERED_WEIGHT = 0.85
"""What a word of the request still counts after each chosen tool that holds it."""
SERVICE_WEIGHT = 0.1
"""How much a service that is near to the request as a whole lifts its tools."""
SAME_SERVICE_PENALTY = 0.15
"""Per tool of the same service already chosen; it matters only where scores lie close together."""
ENTRY_POINT_WEIGHT = 0.4
"""Bonus of a tool that many others need first, such as the one that lists clusters."""
KEEP_RATIO = 0.5
"""Tools below this share of the best score are not bound, unless ``min_k`` asks for them."""
MAX_COMPANIONS = 3
"""How many tools may be added only because they fill another tool's required input."""

Mask = NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class Hit:
    """A chosen tool with its fused score before any penalty; comparable within one request."""

    tool: Tool
    score: float


class ToolIndex:
    """A catalogue prepared for search. Building it takes about a second; searching is exact."""

    def __init__(self, catalogue: Catalogue) -> None:
        self.catalogue = catalogue
        self.tokens = catalogue.tokens
        self._lexical = LexicalIndex([_weighted_terms(tool) for tool in catalogue.tools])
        self._reads = np.array([tool.effect == "read" for tool in catalogue.tools], dtype=np.bool_)
        self._providers = providers(catalogue.tools)
        self._entry = _entry_points(self._providers)
        self._service_of, self._centroids = _centroids(catalogue)

    def lexical_scores(self, text: str) -> Scores:
        """Return BM25 of every tool. Shapes: (n,)."""
        return self._lexical.scores(query_terms(text))

    def cosines(self, vector: Vectors) -> Scores:
        """Return the cosine of every tool. Shapes: vector (d,), L2-normalised; result (n,)."""
        return self.catalogue.vectors @ vector

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
        if hidden:
            for row, tool in enumerate(self.catalogue.tools):
                if tool.definition.function.name in hidden:
                    allowed[row] = False
        return allowed

    def _ranked_rows(
        self, text: str, vector: Vectors, *, k: int, allowed: Mask
    ) -> tuple[list[int], Scores]:
        if not allowed.any():
            return [], np.zeros(len(allowed), dtype=np.float32)
        parts = self._lexical.by_word(query_terms(text))
        lexical_scale = LEXICAL_WEIGHT / _spread(parts.sum(axis=0)[allowed])
        near = (1 - LEXICAL_WEIGHT) * _standardised(self.cosines(vector), allowed)
        near = near + SERVICE_WEIGHT * self._service_lift(vector) + ENTRY_POINT_WEIGHT * self._entry
        scores = (lexical_scale * parts.sum(axis=0) + near).astype(np.float32)

        weights = np.ones(len(parts), dtype=np.float32)
        penalty = np.zeros(len(allowed), dtype=np.float32)
        free, rows = allowed.copy(), list[int]()
        for _ in range(min(k, int(allowed.sum()))):
            now = lexical_scale * (weights @ parts) + near - penalty
            row = int(np.argmax(np.where(free, now, -np.inf)))
            rows.append(row)
            free[row] = False
            weights[parts[:, row] > 0] *= COVERED_WEIGHT
            if self._service_of[row] >= 0:
                penalty[self._service_of == self._service_of[row]] += SAME_SERVICE_PENALTY
        return rows, scores

    def _service_lift(self, vector: Vectors) -> Scores:
        if not len(self._centroids):
            return np.zeros(len(self._service_of), dtype=np.float32)
        cosines = self._centroids @ vector
        lifts = (cosines - cosines.mean()) / _spread(cosines)
        return np.where(self._service_of >= 0, lifts[self._service_of], 0.0).astype(np.float32)

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


def _standardised(values: Scores, allowed: Mask) -> Scores:
    inside = values[allowed]
    return (values - inside.mean()) / _spread(inside)


def _spread(values: Scores) -> float:
    """The standard deviation, or 1 where all values are the same (no known word, one tool)."""
    spread = float(values.std())
    return spread if spread > 1e-6 else 1.0


def _entry_points(needed: tuple[tuple[int, ...], ...]) -> Scores:
    """How many tools need this one first, from 0 to 1 by the logarithm; ten are enough for 1."""
    counts = Counter(row for rows in needed for row in rows)
    values = [min(1.0, math.log1p(counts[row]) / math.log(10)) for row in range(len(needed))]
    return np.array(values, dtype=np.float32)


def _centroids(catalogue: Catalogue) -> tuple[NDArray[np.intp], Vectors]:
    names = sorted({tool.service for tool in catalogue.tools} - {""})
    number = {name: at for at, name in enumerate(names)}
    service_of = np.array([number.get(tool.service, -1) for tool in catalogue.tools], dtype=np.intp)
    means = [catalogue.vectors[service_of == at].mean(axis=0) for at in range(len(names))]
    if not means:
        return service_of, np.zeros((0, catalogue.vectors.shape[1]), dtype=np.float32)
    stacked = np.stack(means)
    lengths = np.linalg.norm(stacked, axis=1, keepdims=True)
    return service_of, (stacked / np.maximum(lengths, 1e-9)).astype(np.float32)


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
