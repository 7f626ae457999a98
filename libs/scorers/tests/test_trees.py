"""Trees are walked as they are written: sides, missing values, several outputs."""

import numpy as np
import pytest

from pointsman.scorers.trees import LEAF, Tree, Trees, joined


def split(
    threshold: float, low: float, high: float, *, feature: int = 0, missing_left: bool = False
) -> Tree:
    return Tree(
        feature=np.array([feature, LEAF, LEAF], np.int16),
        threshold=np.array([threshold, low, high], np.float32),
        left=np.array([1, 0, 0], np.int16),
        right=np.array([2, 0, 0], np.int16),
        missing_left=np.array([missing_left, False, False]),
    )


def leaf(value: float) -> Tree:
    return Tree(
        feature=np.array([LEAF], np.int16),
        threshold=np.array([value], np.float32),
        left=np.zeros(1, np.int16),
        right=np.zeros(1, np.int16),
        missing_left=np.zeros(1, np.bool_),
    )


def inputs(*values: float) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    return np.array(values, np.float32)


def test_a_value_at_the_threshold_goes_left() -> None:
    trees = joined([(0.5, [split(2.0, 10.0, 20.0)])])

    assert trees.sums(inputs(2.0)).tolist() == [10.5]
    assert trees.sums(inputs(2.1)).tolist() == [20.5]


@pytest.mark.parametrize(("missing_left", "expected"), [(True, 1.0), (False, 2.0)])
def test_a_missing_value_goes_where_the_tree_says(missing_left: bool, expected: float) -> None:
    trees = joined([(0.0, [split(0.0, 1.0, 2.0, missing_left=missing_left)])])

    assert trees.sums(inputs(np.nan)).tolist() == [expected]


def test_each_output_has_its_own_sum() -> None:
    first = [split(0.0, 1.0, 2.0), split(5.0, 10.0, 20.0, feature=1)]
    trees = joined([(100.0, first), (0.0, [leaf(7.0)])])

    assert trees.sums(inputs(1.0, 1.0)).tolist() == [112.0, 7.0]
    assert trees.depth == 1


def test_trees_survive_their_arrays() -> None:
    trees = joined([(1.0, [split(0.0, 1.0, 2.0), leaf(3.0)])])

    again = Trees.from_arrays(trees.arrays())

    assert again.sums(inputs(-1.0)).tolist() == trees.sums(inputs(-1.0)).tolist() == [5.0]


def test_an_ensemble_needs_a_tree() -> None:
    with pytest.raises(ValueError, match="without a tree"):
        joined([(0.0, [])])
