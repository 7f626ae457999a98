"""What a stronger model would add, told from the request alone: before any call.

Owns the features and the arithmetic of the learned scorer; ``libs/evaluation`` trains it, and the
weights' model card lies beside them.
"""

import itertools
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from pointsman.classifier.domain.ports import DIMENSIONS, Array
from pointsman.scorers import questions
from pointsman.scorers.questions import question_signs

BUCKETS = 8_192
"""Words and pairs of words fall into so many buckets by their hash. A power of two."""
SIGNS = len(questions.NAMES)
FEATURES = DIMENSIONS + SIGNS
"""The dense ones: the vector, then the question's signs."""

_SIGN_WEIGHT = 0.1
"""Brings signs, which vary by 1, to the size of a vector's components, so that one penalty fits."""
_READ_CHARACTERS = 4_000
_WORD = re.compile(r"[a-z]+|\d|[^\sa-z\d]")


@dataclass(frozen=True, kw_only=True)
class GainEstimate:
    """Probabilities that a small and that a strong model answers acceptably, and the difference."""

    weak: float
    strong: float

    @property
    def gain(self) -> float:
        return self.strong - self.weak


@dataclass(frozen=True, kw_only=True)
class Gain:
    """The learned scorer: two logistic regressions over the same features.

    Shapes: mean and scale (SIGNS,), dense (FEATURES, 2), words (BUCKETS, 2), bias (2,); the two
    columns are the small and the strong model.
    """

    mean: Array
    scale: Array
    dense: Array
    words: Array
    bias: Array

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> "Gain":
        """Raises: KeyError for an array that is missing; ValueError for one of another shape."""
        shapes = {
            "mean": (SIGNS,), "scale": (SIGNS,), "dense": (FEATURES, 2),
            "words": (BUCKETS, 2), "bias": (2,),
        }  # fmt: skip
        found = {name: np.asarray(arrays[name], np.float32) for name in shapes}
        for name, shape in shapes.items():
            if found[name].shape != shape:
                raise ValueError(f"{name} has the shape {found[name].shape}, not {shape}")
        return cls(**found)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return what ``from_arrays`` takes; words in 16 bits, which is as exact as they are."""
        return {
            "mean": self.mean, "scale": self.scale, "dense": self.dense, "bias": self.bias,
            "words": self.words.astype(np.float16),
        }  # fmt: skip

    def predict(self, vector: Array, text: str) -> GainEstimate:
        """Return what to expect of a request.

        Shapes: vector (384,), L2-normalised, of the part of ``text`` that is embedded.
        """
        signs = (np.array(question_signs(text).values, np.float32) - self.mean) / self.scale
        log_odds = self.bias + vector @ self.dense[:DIMENSIONS]
        log_odds = log_odds + (_SIGN_WEIGHT * signs) @ self.dense[DIMENSIONS:]
        found = buckets_of(text)
        if found:
            log_odds = log_odds + self.words[found].sum(axis=0) / math.sqrt(len(found))
        weak, strong = log_odds.tolist()
        return GainEstimate(weak=_logistic(weak), strong=_logistic(strong))


def dense_features(vectors: Array, signs: Array, mean: Array, scale: Array) -> Array:
    """Return the dense features of many requests, as ``predict`` weighs them.

    Shapes: vectors (n, 384), signs (n, SIGNS), to (n, FEATURES).
    """
    return np.hstack([vectors, _SIGN_WEIGHT * (signs - mean) / scale]).astype(np.float32)


def buckets_of(text: str) -> list[int]:
    """Return the buckets of the words and pairs of words in ``text``, each once, ascending.

    Each counts the inverse root of how many there are. Digits are words of their own.
    """
    words = _WORD.findall(text[:_READ_CHARACTERS].lower())
    known = {crc32(word.encode()) for word in words}
    pairs = itertools.pairwise(words)
    known.update(crc32(f"{first} {second}".encode()) for first, second in pairs)
    return sorted({number % BUCKETS for number in known})


def _logistic(log_odds: float) -> float:
    return 1 / (1 + math.exp(-max(-30.0, min(30.0, log_odds))))
