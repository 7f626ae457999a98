"""Fits the gain head: two regularised logistic regressions over vector, signs and hashed words."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from sklearn.linear_model import LogisticRegression

from pointsman.classifier.domain.gain import BUCKETS, FEATURES, Gain, buckets_of, dense_features
from pointsman.evaluation.figures import Floats, Indices, Truths
from pointsman.evaluation.vectors import Vectors
from pointsman.scorers.questions import question_signs

_PENALTY = 0.2
"""scikit-learn's C; found by cross-validation on the development half of both data sets."""

_CERTAIN = 5.0
"""Log-odds of a model that was always right: no head says more than its rows can."""


@dataclass(frozen=True, kw_only=True)
class Requests:
    """Requests as the head reads them.

    Shapes: vectors (n, 384), signs (n, SIGNS), words (n, BUCKETS) sparse.
    """

    texts: tuple[str, ...]
    vectors: Vectors
    signs: NDArray[np.float32]
    words: Any


def read_requests(texts: Sequence[str], vectors: Vectors) -> Requests:
    return Requests(
        texts=tuple(texts),
        vectors=vectors,
        signs=np.array([question_signs(text).values for text in texts], np.float32),
        words=_words(texts),
    )


def fitted_gain(requests: Requests, weak: Truths, strong: Truths, rows: Indices) -> Gain:
    """Fit on ``rows`` of the requests. Shapes: weak and strong (n,)."""
    mean = requests.signs[rows].mean(axis=0)
    scale = np.maximum(requests.signs[rows].std(axis=0), 1e-3)
    dense = dense_features(requests.vectors[rows], requests.signs[rows], mean, scale)
    features = cast("Any", sparse.hstack([sparse.csr_matrix(dense), requests.words[rows]]))
    weights = np.zeros((FEATURES + BUCKETS, 2), np.float32)
    bias = np.zeros(2, np.float32)
    for column, truth in enumerate((weak[rows], strong[rows])):
        if truth.all() or not truth.any():
            bias[column] = _CERTAIN if truth.all() else -_CERTAIN
            continue
        model: Any = LogisticRegression(C=_PENALTY, max_iter=300)
        model.fit(features, truth)
        weights[:, column] = model.coef_[0]
        bias[column] = float(model.intercept_[0])
    return Gain(
        mean=mean, scale=scale, dense=weights[:FEATURES], words=weights[FEATURES:], bias=bias
    )


def gains_of(head: Gain, requests: Requests, rows: Indices) -> Floats:
    """Return the gain of each of ``rows``."""
    return np.array(
        [head.predict(requests.vectors[row], requests.texts[row]).gain for row in map(int, rows)]
    )


def _words(texts: Sequence[str]) -> Any:
    found = [buckets_of(text) for text in texts]
    ends = np.cumsum([0, *map(len, found)])
    columns = np.array([bucket for buckets in found for bucket in buckets], np.int32)
    values = np.repeat([1 / math.sqrt(max(1, len(b))) for b in found], [len(b) for b in found])
    return sparse.csr_matrix(
        (values.astype(np.float32), columns, ends), shape=(len(texts), BUCKETS)
    )
