"""Ensembles of decision trees, applied: sums of leaf values, one sum for each thing predicted.

Owns the arrays' layout and the walk. What the inputs and the sums mean is the scorer's that holds
them; ``libs/evaluation`` grows the trees.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Inputs = NDArray[np.float32]
"""Thresholds are kept in 32 bits, so what they are compared with is too: no row changes sides."""

LEAF = -1
"""In ``feature``: the node is a leaf, and ``threshold`` holds its value."""


@dataclass(frozen=True, kw_only=True)
class Tree:
    """One grown tree. Shapes: all (nodes,); node 0 is the root.

    A value at or below ``threshold`` goes left, any other right, a missing one (NaN) left where
    ``missing_left``. ``left`` and ``right`` number the tree's own nodes.
    """

    feature: NDArray[np.int16]
    threshold: NDArray[np.float32]
    left: NDArray[np.int16]
    right: NDArray[np.int16]
    missing_left: NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class Trees:
    """Trees for several outputs over the same inputs; all are walked at once.

    Shapes: roots and output (trees,), start (outputs,), the others (all nodes,). ``left`` and
    ``right`` number the nodes of all trees; a leaf leads to itself.
    """

    feature: NDArray[np.int16]
    threshold: NDArray[np.float32]
    left: NDArray[np.int32]
    right: NDArray[np.int32]
    missing_left: NDArray[np.bool_]
    roots: NDArray[np.int32]
    output: NDArray[np.int16]
    start: NDArray[np.float32]

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> "Trees":
        """Raises: KeyError for an array that is missing."""
        return cls(**{name: arrays[name] for name in _NAMES})

    def arrays(self) -> dict[str, NDArray[Any]]:
        return {name: getattr(self, name) for name in _NAMES}

    @cached_property
    def depth(self) -> int:
        """How many steps the longest way from a root takes."""
        steps, here = 0, np.unique(self.roots)
        while True:
            inner = here[self.feature[here] != LEAF]
            if not inner.size:
                return steps
            here = np.unique(np.concatenate([self.left[inner], self.right[inner]]))
            steps += 1

    @cached_property
    def _asked(self) -> NDArray[np.intp]:
        """The input each node looks at; a leaf looks at the first, and stays where it is."""
        return np.where(self.feature == LEAF, 0, self.feature).astype(np.intp)

    def sums(self, inputs: Inputs) -> Floats:
        """Return each output's sum. Shapes: inputs (inputs,) to (outputs,)."""
        missing = np.isnan(inputs)
        node = self.roots
        for _ in range(self.depth):
            asked = self._asked[node]
            goes_left = inputs[asked] <= self.threshold[node]
            if missing.any():
                goes_left |= missing[asked] & self.missing_left[node]
            node = np.where(goes_left, self.left[node], self.right[node])
        reached = self.threshold[node].astype(np.float64)
        sums = self.start.astype(np.float64)
        np.add.at(sums, self.output, reached)
        return sums


_NAMES = ("feature", "threshold", "left", "right", "missing_left", "roots", "output", "start")


def joined(outputs: Sequence[tuple[float, Sequence[Tree]]]) -> Trees:
    """Return the trees of several outputs as one. Each output is where its sum starts, and trees.

    Raises: ValueError if there is no tree at all.
    """
    trees = [(number, tree) for number, (_, grown) in enumerate(outputs) for tree in grown]
    if not trees:
        raise ValueError("an ensemble without a tree")
    sizes = [len(tree.feature) for _, tree in trees]
    roots = np.concatenate([[0], np.cumsum(sizes)[:-1]]).astype(np.int32)
    left = [_numbered(tree, tree.left, root) for (_, tree), root in zip(trees, roots, strict=True)]
    right = [_numbered(tree, tree.right, at) for (_, tree), at in zip(trees, roots, strict=True)]
    return Trees(
        feature=np.concatenate([tree.feature for _, tree in trees]).astype(np.int16),
        threshold=np.concatenate([tree.threshold for _, tree in trees]).astype(np.float32),
        left=np.concatenate(left),
        right=np.concatenate(right),
        missing_left=np.concatenate([tree.missing_left for _, tree in trees]).astype(np.bool_),
        roots=roots,
        output=np.array([number for number, _ in trees], np.int16),
        start=np.array([start for start, _ in outputs], np.float32),
    )


def _numbered(tree: Tree, children: NDArray[np.int16], root: np.int32) -> NDArray[np.int32]:
    own = np.arange(len(tree.feature), dtype=np.int32)
    return (np.where(tree.feature == LEAF, own, children) + root).astype(np.int32)
