"""Grows the trees of a learned scorer and writes them as ``pointsman.scorers.trees`` reads them."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

from pointsman.evaluation.figures import Floats, Indices
from pointsman.scorers.trees import LEAF, Inputs, Tree

_SETTINGS: dict[str, Any] = {
    "max_iter": 120,
    "learning_rate": 0.06,
    "max_leaf_nodes": 12,
    "max_depth": 6,
    "max_features": 0.3,
    "min_samples_leaf": 40,
    "l2_regularization": 5.0,
    "early_stopping": False,
}
"""Found by cross-validation on the development recordings; few leaves of many rows each, because
the labels are noisy and unseen categories come."""

Grown = tuple[float, list[Tree]]
"""Where the sum starts, and the trees."""


def grown_classifier(inputs: Inputs, truth: NDArray[np.bool_], *, seed: int) -> Grown:
    """Grow trees whose sum is the log-odds of ``truth``.

    Shapes: inputs (n, inputs), truth (n,). A truth that never changes gives one leaf.
    """
    share = float(np.mean(truth))
    if share in {0.0, 1.0}:
        return (5.0 if share else -5.0), [_stump()]
    model = HistGradientBoostingClassifier(random_state=seed, **_SETTINGS)
    known = _known(inputs)
    return _taken(model.fit(inputs[:, known], truth), known)


def grown_regressor(inputs: Inputs, wanted: Floats, *, seed: int) -> Grown:
    """Grow trees whose sum is ``wanted``, in the mean of squares."""
    model = HistGradientBoostingRegressor(random_state=seed, **_SETTINGS)
    known = _known(inputs)
    return _taken(model.fit(inputs[:, known], wanted), known)


def _known(inputs: Inputs) -> Indices:
    """Return the inputs that any row has; scikit-learn refuses one that is missing everywhere."""
    return np.flatnonzero(~np.isnan(inputs).all(axis=0))


def _taken(model: Any, known: Indices) -> Grown:
    # scikit-learn shows the grown nodes nowhere public; tests compare our sums with its own.
    trees = [_tree(each[0].nodes, known) for each in model._predictors]
    return float(np.ravel(model._baseline_prediction)[0]), trees


def _tree(nodes: NDArray[Any], known: Indices) -> Tree:
    fields: Mapping[str, NDArray[Any]] = {name: nodes[name] for name in nodes.dtype.names or ()}
    is_leaf = fields["is_leaf"].astype(bool)
    value = np.where(is_leaf, fields["value"], fields["num_threshold"])
    return Tree(
        feature=np.where(is_leaf, LEAF, known[fields["feature_idx"]]).astype(np.int16),
        threshold=value.astype(np.float32),
        left=fields["left"].astype(np.int16),
        right=fields["right"].astype(np.int16),
        missing_left=fields["missing_go_to_left"].astype(bool),
    )


def _stump() -> Tree:
    return Tree(
        feature=np.array([LEAF], np.int16),
        threshold=np.zeros(1, np.float32),
        left=np.zeros(1, np.int16),
        right=np.zeros(1, np.int16),
        missing_left=np.zeros(1, bool),
    )
