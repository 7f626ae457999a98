"""The probability that an answer says what nothing supports: two linear heads, one with a source.

Owns the arithmetic and the order of the inputs. ``libs/evaluation`` fits the heads; the model card
lies beside the weights.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from pointsman.judge.domain import claims, evidence

Floats = NDArray[np.float64]

_LENGTHS: Final = frozenset({"answer_words", "context_words"})
"""Left out: in one training set length alone tells the label, and nowhere else."""
GROUNDED_INPUTS: Final = tuple(name for name in evidence.NAMES if name not in _LENGTHS)
_KEPT: Final = tuple(evidence.NAMES.index(name) for name in GROUNDED_INPUTS)
CLAIM_INPUTS: Final = claims.NAMES
WORD_INPUTS: Final = 2 * claims.BUCKETS


@dataclass(frozen=True, kw_only=True)
class Head:
    """A logistic regression. Shapes: weights (n,), for inputs as they are, not standardised."""

    weights: Floats
    bias: float

    def log_odds(self, inputs: Floats) -> float:
        return float(self.weights @ inputs) + self.bias


@dataclass(frozen=True, kw_only=True)
class Support:
    """Both heads. ``words`` weighs the hashed words of question and answer, shape (2, buckets)."""

    grounded: Head
    claims: Head
    words: Floats

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> "Support":
        """Raises: KeyError for an array that is missing; ValueError for other inputs than ours."""
        grounded, claimed = _head(arrays, "grounded"), _head(arrays, "claims")
        hashed = arrays["words"].astype(np.float64)
        shapes = (grounded.weights.shape, claimed.weights.shape, hashed.shape)
        wanted = ((len(GROUNDED_INPUTS),), (len(CLAIM_INPUTS),), (2, claims.BUCKETS))
        if shapes != wanted:
            raise ValueError(f"weights of shapes {shapes}, not {wanted}")
        return cls(grounded=grounded, claims=claimed, words=hashed)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return what ``from_arrays`` takes."""
        return {
            "grounded": np.append(self.grounded.weights, self.grounded.bias).astype(np.float32),
            "claims": np.append(self.claims.weights, self.claims.bias).astype(np.float32),
            "words": self.words.astype(np.float32),
        }

    def unsupported_by(self, question: str, context: str, answer: str) -> float:
        """Return the log-odds that ``context`` does not support the answer; 0 is one in two."""
        return self.grounded.log_odds(grounded_inputs(question, context, answer))

    def unsupported_alone(self, question: str, answer: str) -> float:
        """Return the log-odds that the answer makes something up, where there is no source."""
        signs = np.array(claims.claim_signs(question, answer))
        total = self.claims.log_odds(signs)
        for row, text in enumerate((question, answer)):
            buckets, weight = claims.word_buckets(text)
            total += weight * float(self.words[row][buckets].sum())
        return total


def grounded_inputs(question: str, context: str, answer: str) -> Floats:
    """Return the inputs of the head with a source. Shapes: (len(GROUNDED_INPUTS),)."""
    values = evidence.evidence_of(question, context, answer).values
    return np.array([values[place] for place in _KEPT])


def word_inputs(question: str, answer: str) -> Floats:
    """Return the hashed words as a vector, question before answer. Shapes: (WORD_INPUTS,)."""
    found = np.zeros((2, claims.BUCKETS))
    for row, text in enumerate((question, answer)):
        buckets, weight = claims.word_buckets(text)
        np.add.at(found[row], buckets, weight)
    return found.ravel()


def probability(log_odds: float) -> float:
    return 1 / (1 + math.exp(-max(-30.0, min(30.0, log_odds))))


def log_odds(chance: float) -> float:
    inside = min(1 - 1e-6, max(1e-6, chance))
    return math.log(inside / (1 - inside))


def _head(arrays: Mapping[str, NDArray[Any]], name: str) -> Head:
    packed = arrays[name].astype(np.float64)
    return Head(weights=packed[:-1], bias=float(packed[-1]))
