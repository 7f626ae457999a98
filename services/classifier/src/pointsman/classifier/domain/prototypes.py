"""Labelled sentences that requests are compared with. The sentences are ``prototypes.yaml``."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from pointsman.classifier.domain.ports import Array


class PrototypeGroup(BaseModel):
    """Sentences of one kind, as the file holds them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    domain: str
    intent: Literal["simple", "complex"]
    needs_tools: bool
    texts: tuple[str, ...] = Field(min_length=1)


NEIGHBOURS = 3
"""How many sentences of a kind are asked how near that kind is."""


@dataclass(frozen=True, kw_only=True)
class Nearness:
    """How near one request is to each kind of sentence: the mean cosine of the nearest few.

    ``nearest`` is the cosine of the nearest sentence of all.
    """

    domains: Mapping[str, float]
    complex: float
    simple: float
    with_tools: float
    without_tools: float
    nearest: float


@dataclass(frozen=True, kw_only=True)
class Prototypes:
    """Labelled sentences and their vectors.

    ``kinds`` holds a row for each domain, then complex, simple, with tools, without: the numbers of
    the sentences of that kind, filled up with a number that no sentence has.
    Shapes: vectors (n, 384), L2-normalised; kinds (len(domains) + 4, most), below or equal to n.
    """

    vectors: Array
    domains: tuple[str, ...]
    kinds: NDArray[np.intp]

    def nearness(self, vector: Array) -> Nearness:
        """Shapes: vector (384,), L2-normalised."""
        cosines = np.append(self.vectors @ vector, np.float32(-np.inf))
        nearest = np.sort(cosines[self.kinds], axis=1)[:, -NEIGHBOURS:]
        # A kind of fewer sentences is asked as many as it has.
        known = nearest > -np.inf
        sums = np.add.reduce(np.where(known, nearest, np.float32(0)), axis=1)
        means: list[float] = (sums / np.add.reduce(known, axis=1, dtype=np.float32)).tolist()
        return Nearness(
            domains=dict(zip(self.domains, means, strict=False)),
            complex=means[-4],
            simple=means[-3],
            with_tools=means[-2],
            without_tools=means[-1],
            nearest=float(cosines.max()),
        )


def prototypes(groups: Sequence[PrototypeGroup], vectors: Array) -> Prototypes:
    """Join the groups' labels with the vectors of their texts, in the same order."""
    rows = [group for group in groups for _ in group.texts]
    domains = tuple(dict.fromkeys(group.domain for group in groups))
    labels = [
        *([group.domain == name for group in rows] for name in domains),
        [group.intent == "complex" for group in rows],
        [group.intent == "simple" for group in rows],
        [group.needs_tools for group in rows],
        [not group.needs_tools for group in rows],
    ]
    most = max(NEIGHBOURS, *(sum(label) for label in labels))
    kinds = np.full((len(labels), most), len(rows), dtype=np.intp)
    for kind, label in zip(kinds, labels, strict=True):
        numbers = np.flatnonzero(label)
        kind[: len(numbers)] = numbers
    return Prototypes(vectors=vectors, domains=domains, kinds=kinds)
