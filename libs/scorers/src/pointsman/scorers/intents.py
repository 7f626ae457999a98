"""Fine-grained intents of a short text, from its vector and its words' and letters' n-grams.

Owns the hashing of n-grams and the arithmetic; ``intent_file`` reads and writes a head, and
``pointsman.evaluation.intents_fit`` trains one.
"""

import math
import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Buckets = NDArray[np.int64]

BUCKETS: Final = 1 << 14
READ_CHARACTERS: Final = 300
"""N-grams are taken from the head of a text; what people ask for in a phrase is shorter."""

LONGEST_TOPIC: Final = 600
"""The longest text trained on has 433 characters; a longer one is none of the topics, unread."""

_VECTOR_SCALE: Final = math.sqrt(384)
# A text's place among 128 axes is about 0.66 long.
_TEXT_SCALE: Final = 0.7 * math.sqrt(384) / 0.66

_LONGEST_RUN: Final = 5
_WORD = re.compile(r"\w+")
_SPACE: Final = ord(" ")
_MIX: Final = np.uint64(0x9E3779B97F4A7C15)
_BASE: Final = np.uint64(1_000_003)
_SHIFT: Final = np.uint64(40)


@dataclass(frozen=True, kw_only=True)
class Grams:
    """The hashed n-grams of one text and how often each occurs. Shapes: both (m,)."""

    buckets: Buckets
    counts: Floats


def grams_of(text: str) -> Grams:
    """Return the words, the pairs of words, and the 2 to 5 letters within a word, hashed."""
    words = _WORD.findall(text[:READ_CHARACTERS].lower())
    hashed = [zlib.crc32(word.encode()) for word in words]
    hashed += [7 * first + second + 1 for first, second in pairwise(hashed)]
    letters = np.frombuffer(f" {' '.join(words)} ".encode(), dtype=np.uint8)
    parts = [np.asarray(hashed, dtype=np.uint64), *_windows(letters)]
    mixed = (np.concatenate(parts) * _MIX) >> _SHIFT
    buckets, counts = np.unique((mixed % BUCKETS).astype(np.int64), return_counts=True)
    return Grams(buckets=buckets, counts=counts.astype(np.float32))


def _windows(letters: NDArray[np.uint8]) -> list[NDArray[np.uint64]]:
    """Return the hash of each run of letters that holds a space at its ends at most."""
    spaces = np.cumsum(letters == _SPACE)
    wide = letters.astype(np.uint64)
    rolled, found = wide, list[NDArray[np.uint64]]()
    for size in range(2, _LONGEST_RUN + 1):
        rolled = rolled[:-1] * _BASE + wide[size - 1 :]
        if not len(rolled):
            break
        # Between the first and the last letter of the window lies no space.
        within = spaces[size - 2 : len(letters) - 1] - spaces[: len(rolled)]
        found.append(rolled[within == 0] + np.uint64(size))
    return found


@dataclass(frozen=True, kw_only=True)
class Quantised:
    """A matrix in 8 bits: ``values`` times the ``scale`` of their column.

    Shapes: values (rows, columns) int8, scale (columns,).
    """

    values: NDArray[np.int8]
    scale: Floats

    @classmethod
    def of(cls, matrix: NDArray[Any]) -> Self:
        most = np.maximum(np.abs(matrix).max(axis=0), 1e-12)
        values = np.rint(matrix / most * 127).astype(np.int8)
        return cls(values=values, scale=(most / 127).astype(np.float32))

    @cached_property
    def matrix(self) -> Floats:
        return self.values * self.scale


@dataclass(frozen=True, kw_only=True)
class GramProjection:
    """Brings hashed n-grams down to a few numbers, as latent semantic analysis does.

    Shapes: rarity (BUCKETS,), the inverse document frequency; axes (BUCKETS, r).
    """

    rarity: Floats
    axes: Quantised

    def project(self, grams: Grams) -> Floats:
        """Return the text's place among the axes, shape (r,)."""
        weights = (1 + np.log(grams.counts)) * self.rarity[grams.buckets]
        length = float(np.sqrt(weights @ weights))
        if length == 0:
            return np.zeros(len(self.axes.scale), np.float32)
        found: Floats = weights @ self.axes.values[grams.buckets].astype(np.float32)
        return found * self.axes.scale / np.float32(length)


@dataclass(frozen=True, kw_only=True)
class Net:
    """One hidden layer. Shapes: first (d, h), first_bias (h,), second (h, k), second_bias (k,)."""

    first: Quantised
    first_bias: Floats
    second: Quantised
    second_bias: Floats

    def scores(self, inputs: Floats) -> Floats:
        """Shapes: inputs (d,) or (n, d), to (k,) or (n, k)."""
        hidden = np.maximum(inputs @ self.first.matrix + self.first_bias, 0)
        return hidden @ self.second.matrix + self.second_bias


@dataclass(frozen=True, kw_only=True)
class IntentReading:
    """What the head makes of one text.

    ``in_scope``: how likely the text is one of the kinds that were trained on. ``probability``:
    how likely the topic is right if so; ``domain_probability`` likewise. ``nearest``: the cosine
    of the nearest landmark; at ``far`` a text is as likely new as known.
    """

    topic: str
    probability: float
    domain: str
    domain_probability: float
    in_scope: float
    nearest: float
    far: float


@dataclass(frozen=True, kw_only=True)
class TopicSet:
    """The topics of one data set and the networks that tell them apart; their mean decides.

    ``scope`` weighs the networks' doubts to the log-odds of "none of these": the first network's
    ``-log`` probability of its best topic, then how far the last one prefers its class "none",
    then the bias.
    Shapes: domain_of (k,), the number of each topic's domain; the last net has k + 1 classes.
    """

    topics: tuple[str, ...]
    domains: tuple[str, ...]
    domain_of: NDArray[np.int64]
    nets: tuple[Net, ...]
    scope: tuple[float, float, float]

    def scores(self, inputs: Floats) -> tuple[Floats, Floats]:
        """Return the log-probability of each topic and the two doubts of each row.

        Shapes: inputs (n, d), to (n, k) and (n, 2).
        """
        topics = len(self.topics)
        raw = [net.scores(inputs) for net in self.nets]
        first, last = log_softmax(raw[0][:, :topics]), raw[-1]
        mean = np.mean([log_softmax(one[:, :topics]) for one in raw], axis=0)
        doubts = np.stack(
            [-first.max(axis=1), last[:, topics] - last[:, :topics].max(axis=1)], axis=1
        )
        return mean, doubts

    def out_of_scope(self, doubts: Floats) -> Floats:
        """Return the log-odds that a text is none of these. Shapes: (n, 2) to (n,)."""
        return doubts @ np.array(self.scope[:2], np.float32) + np.float32(self.scope[2])


def log_softmax(scores: Floats) -> Floats:
    shifted = scores - scores.max(axis=1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))


@dataclass(frozen=True, kw_only=True)
class IntentHead:
    """The fine-grained intents of two data sets, and how far a text is from all that was seen.

    Shapes: landmarks (m, d), L2-normalised: the middles of the kinds of text trained on.
    ``far``: the cosine to the nearest landmark at which a text is as likely new as known.
    """

    projection: GramProjection
    sets: tuple[TopicSet, ...]
    landmarks: Floats
    far: float

    def inputs(self, vectors: Floats, texts: Sequence[str]) -> Floats:
        """Return what the networks read. Shapes: vectors (n, 384), to (n, 384 + r)."""
        projected = np.stack([self.projection.project(grams_of(text)) for text in texts])
        return join_inputs(vectors, projected)

    def read(self, vector: Floats, text: str) -> IntentReading:
        """Return what is known of one text. Shapes: vector (384,), L2-normalised.

        The topic is of the set whose scope the text is in most surely. A long text has none.
        """
        nearest = float((self.landmarks @ vector).max())
        if len(text) > LONGEST_TOPIC:
            return IntentReading(
                topic="", probability=0.0, domain="", domain_probability=0.0, in_scope=0.0,
                nearest=nearest, far=self.far,
            )  # fmt: skip
        inputs = self.inputs(vector[None], [text])
        found = [(one, *one.scores(inputs)) for one in self.sets]
        odds = [float(one.out_of_scope(doubts)[0]) for one, _, doubts in found]
        known, scores, _ = found[int(np.argmin(odds))]
        chances = np.exp(scores[0])
        best = int(chances.argmax())
        by_domain = np.bincount(known.domain_of, chances)
        domain = int(by_domain.argmax())
        return IntentReading(
            topic=known.topics[best],
            probability=float(chances[best]),
            domain=known.domains[domain],
            domain_probability=min(1.0, float(by_domain[domain])),
            in_scope=1 / (1 + math.exp(max(-30.0, min(30.0, *odds)))),
            nearest=nearest,
            far=self.far,
        )


def join_inputs(vectors: Floats, projected: Floats) -> Floats:
    """Return vectors and projections side by side, each number varying by about 1."""
    return np.hstack([vectors * _VECTOR_SCALE, projected * _TEXT_SCALE]).astype(np.float32)
