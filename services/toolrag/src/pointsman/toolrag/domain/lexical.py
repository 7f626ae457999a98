"""BM25 over weighted fields: an inverted index small enough to keep in memory.

Source: Robertson and Zaragoza, The Probabilistic Relevance Framework: BM25 and Beyond (2009).
"""

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

Scores = NDArray[np.float32]

K1 = 1.2
B = 0.5
"""Weaker than the usual 0.75: a long description of a tool is seldom padding."""


class LexicalIndex:
    """Scores every document for a bag of words. Documents are weighted term frequencies."""

    def __init__(self, documents: Sequence[Mapping[str, float]]) -> None:
        self.size = len(documents)
        lengths = np.array([sum(document.values()) for document in documents], dtype=np.float32)
        mean = float(lengths.mean()) if self.size else 1.0
        norms = K1 * (1 - B + B * lengths / max(mean, 1.0))
        rows: dict[str, list[tuple[int, float]]] = {}
        for row, document in enumerate(documents):
            for word, frequency in document.items():
                rows.setdefault(word, []).append((row, frequency))
        self._postings = {word: self._posting(hits, norms) for word, hits in rows.items()}

    def _posting(
        self, hits: list[tuple[int, float]], norms: Scores
    ) -> tuple[NDArray[np.intp], Scores]:
        idf = math.log(1 + (self.size - len(hits) + 0.5) / (len(hits) + 0.5))
        at = np.array([row for row, _ in hits], dtype=np.intp)
        frequency = np.array([count for _, count in hits], dtype=np.float32)
        weights = idf * frequency * (K1 + 1) / (frequency + norms[at])
        return at, weights.astype(np.float32)

    def scores(self, query: Mapping[str, float]) -> Scores:
        """Return the BM25 score of every document for weighted words. Shapes: (n,), float32."""
        return self.by_word(query).sum(axis=0, dtype=np.float32)

    def by_word(self, query: Mapping[str, float]) -> Scores:
        """Return each known word's part of the score, words in alphabetical order.

        Shapes: (words, n), float32.
        """
        known = sorted(word for word in query if word in self._postings)
        parts = np.zeros((len(known), self.size), dtype=np.float32)
        for row, word in enumerate(known):
            at, weights = self._postings[word]
            parts[row, at] = weights * query[word]
        return parts
