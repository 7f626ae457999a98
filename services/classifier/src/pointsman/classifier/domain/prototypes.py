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


@dataclass(frozen=True, kw_only=True)
class Prototypes:
    """Labelled sentences and their vectors.

    Shapes: vectors (n, 384), L2-normalised; every label is a mask (n,).
    """

    vectors: Array
    domains: Mapping[str, NDArray[np.bool_]]
    is_complex: NDArray[np.bool_]
    needs_tools: NDArray[np.bool_]


def prototypes(groups: Sequence[PrototypeGroup], vectors: Array) -> Prototypes:
    """Join the groups' labels with the vectors of their texts, in the same order."""
    rows = [group for group in groups for _ in group.texts]
    return Prototypes(
        vectors=vectors,
        domains={
            name: np.array([group.domain == name for group in rows], dtype=np.bool_)
            for name in dict.fromkeys(group.domain for group in groups)
        },
        is_complex=np.array([group.intent == "complex" for group in rows], dtype=np.bool_),
        needs_tools=np.array([group.needs_tools for group in rows], dtype=np.bool_),
    )
