"""BM25 over weighted fields: an inverted index small enough to keep in memory.

Source: Robertson and Zaragoza, The Probabilistic Relevance Framework: BM25 and Beyond (2009).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Scores = NDArray[np.float32]
Rows = NDArray[np.intp]

K1 = 1.2
B = 0.5
"""Weaker than the usual 0.75: a long description of a tool is seldom padding."""


@dataclass(frozen=True, kw_only=True)
class Matches:
    """Where the words of one request occur, and what each occurrence adds to a document's score.

    ``words`` counts those that occur at all. Shapes: rows, numbers, parts (occurrences,), by word
    in alphabetical order; an entry of numbers says which word it is of.
    """

    documents: int
    words: int
    rows: Rows
    numbers: Rows
    parts: Scores

    def scores(self) -> Scores:
        """Return the BM25 score of every document. Shapes: (documents,)."""
        total = np.zeros(self.documents, dtype=np.float32)
        np.add.at(total, self.rows, self.parts)
        return total

    def among(self, rows: Rows) -> Scores:
        """Return each word's part of the score of some documents. Shapes: (words, len(rows))."""
        place = np.full(self.documents, -1, dtype=np.intp)
        place[rows] = np.arange(len(rows))
        places = place[self.rows]
        kept = places >= 0
        parts = np.zeros((self.words, len(rows)), dtype=np.float32)
        parts[self.numbers[kept], places[kept]] = self.parts[kept]
        return parts


class LexicalIndex:
    """Scores every document for a bag of words. Documents are weighted term frequencies."""

    def __init__(self, documents: Sequence[Mapping[str, float]]) -> None:
        self.size = len(documents)
        postings: dict[str, list[tuple[int, float]]] = {}
        for row, document in enumerate(documents):
            for word, frequency in document.items():
                postings.setdefault(word, []).append((row, frequency))
        self._ends: dict[str, tuple[int, int]] = {}
        end = 0
        for word, hits in postings.items():
            self._ends[word] = (end, end + len(hits))
            end += len(hits)
        hits = [hit for of_word in postings.values() for hit in of_word]
        self._rows: Rows = np.array([row for row, _ in hits], dtype=np.intp)
        self._weights = self._weighted(documents, np.array([f for _, f in hits], dtype=np.float32))

    def _weighted(self, documents: Sequence[Mapping[str, float]], frequency: Scores) -> Scores:
        lengths = np.array([sum(document.values()) for document in documents], dtype=np.float32)
        mean = float(lengths.mean()) if self.size else 1.0
        norms = K1 * (1 - B + B * lengths / max(mean, 1.0))
        counts = [end - start for start, end in self._ends.values()]
        rarity = [math.log(1 + (self.size - count + 0.5) / (count + 0.5)) for count in counts]
        idf = np.repeat(np.array(rarity, dtype=np.float32), counts)
        weights = idf * frequency * (K1 + 1) / (frequency + norms[self._rows])
        return weights.astype(np.float32, copy=False)

    def matches(self, query: Mapping[str, float]) -> Matches:
        """Return where the words of ``query`` occur, their parts scaled by their weights in it."""
        known = sorted(word for word in query if word in self._ends)
        ends = [self._ends[word] for word in known]
        counts = [end - start for start, end in ends]
        if not known:
            return Matches(
                documents=self.size,
                words=0,
                rows=self._rows[:0],
                numbers=self._rows[:0],
                parts=self._weights[:0],
            )
        asked = np.array([query[word] for word in known], dtype=np.float32)
        return Matches(
            documents=self.size,
            words=len(known),
            rows=np.concatenate([self._rows[start:end] for start, end in ends]),
            numbers=np.repeat(np.arange(len(known)), counts),
            parts=np.concatenate([self._weights[start:end] for start, end in ends])
            * np.repeat(asked, counts),
        )

    def scores(self, query: Mapping[str, float]) -> Scores:
        """Return the BM25 score of every document for weighted words. Shapes: (n,), float32."""
        return self.matches(query).scores()
