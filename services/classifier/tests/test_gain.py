"""The gain head: its arithmetic, its hashes, and the shipped weights."""

from pathlib import Path

import numpy as np
import pytest

import pointsman.classifier
from pointsman.classifier.domain.gain import (
    BUCKETS,
    FEATURES,
    SIGNS,
    Gain,
    buckets_of,
    dense_features,
)
from pointsman.classifier.domain.ports import DIMENSIONS
from pointsman.scorers.questions import question_signs
from pointsman.scorers.scorer_file import read_scorer

WEIGHTS = Path(str(pointsman.classifier.__file__)).parent / "weights" / "gain.npz"
TEXT = "Calculate 12 * 7 and explain why."
VECTOR = np.full(DIMENSIONS, DIMENSIONS**-0.5, np.float32)


def made() -> Gain:
    random = np.random.default_rng(0)
    return Gain(
        mean=np.ones(SIGNS, np.float32),
        scale=np.full(SIGNS, 2, np.float32),
        dense=random.normal(0, 0.1, (FEATURES, 2)).astype(np.float32),
        words=random.normal(0, 0.1, (BUCKETS, 2)).astype(np.float32),
        bias=np.array([0.1, 0.5], np.float32),
    )


def test_one_request_is_weighed_as_training_weighs_many() -> None:
    head = made()
    signs = np.array([question_signs(TEXT).values], np.float32)
    dense = dense_features(VECTOR[None], signs, head.mean, head.scale)[0]
    buckets = buckets_of(TEXT)
    log_odds = dense @ head.dense + head.words[buckets].sum(0) / len(buckets) ** 0.5 + head.bias

    found = head.predict(VECTOR, TEXT)

    assert [found.weak, found.strong] == pytest.approx(1 / (1 + np.exp(-log_odds)), abs=1e-6)
    assert found.gain == found.strong - found.weak


def test_buckets_do_not_depend_on_the_process() -> None:
    # Python's own hash of text changes from run to run; the weights do not.
    assert buckets_of("prime number") == sorted(buckets_of("Prime NUMBER"))
    assert buckets_of("prime") == [3927]


def test_no_words_and_odd_words_are_weighed() -> None:
    for text in ("", " ", "\x00", "é" * 9_000):
        assert 0 < made().predict(VECTOR, text).weak < 1


def test_arrays_of_another_shape_are_refused() -> None:
    with pytest.raises(ValueError, match="bias has the shape"):
        Gain.from_arrays(made().arrays() | {"bias": np.zeros(3)})


def test_the_shipped_head_loads_and_is_small() -> None:
    found = Gain.from_arrays(read_scorer(WEIGHTS)).predict(VECTOR, TEXT)

    assert 0 < found.weak < 1
    assert WEIGHTS.stat().st_size < 300_000
