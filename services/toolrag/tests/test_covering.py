"""The choice among few candidates is the choice among all."""

from dataclasses import replace

import numpy as np
import pytest

from pointsman.toolrag.domain.covering import (
    COVERED_WEIGHT,
    SAME_SERVICE_PENALTY,
    Scored,
    covering,
)
from pointsman.toolrag.domain.lexical import LexicalIndex, Matches

WORDS = "abcdefghijklmnop"


def scored(seed: int, *, tools: int, services: int, spread: float = 1.0) -> Scored:
    """A made-up request; a small ``spread`` lets covered words and services decide."""
    random = np.random.default_rng(seed)
    documents = [
        dict.fromkeys(random.choice(list(WORDS), size=3, replace=False).tolist(), 1.0)
        for _ in range(tools)
    ]
    words = LexicalIndex(documents).matches(dict.fromkeys(WORDS[:8], 1.0))
    near = (spread * random.standard_normal(tools)).astype(np.float32)
    return Scored(
        words=words,
        scale=0.5,
        near=near,
        scores=0.5 * words.scores() + near,
        service_of=random.integers(-1, services, size=tools).astype(np.intp),
        allowed=random.random(tools) < 0.8,
    )


def wordless(tools: int) -> Matches:
    """What is found when no tool holds any word of the request."""
    return LexicalIndex([{"other": 1.0}] * tools).matches({"a": 1.0})


def among_all(request: Scored, k: int) -> list[int]:
    """The same choice as it is defined: every row, every time, in double precision."""
    parts = request.words.among(np.arange(len(request.near))).astype(np.float64)
    weights, penalty = np.ones(len(parts)), np.zeros(len(request.near))
    free, chosen = request.allowed.copy(), list[int]()
    for _ in range(min(k, int(free.sum()))):
        worth = request.scale * (weights @ parts) + request.near - penalty
        row = int(np.argmax(np.where(free, worth, -np.inf)))
        chosen.append(row)
        free[row] = False
        weights[parts[:, row] > 0] *= COVERED_WEIGHT
        if request.service_of[row] >= 0:
            penalty[request.service_of == request.service_of[row]] += SAME_SERVICE_PENALTY
    return chosen


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize(
    ("tools", "services", "spread"), [(5, 2, 1.0), (300, 10, 1.0), (2_000, 3, 0.01), (900, 0, 0.0)]
)
def test_few_candidates_give_the_choice_among_all(
    seed: int, tools: int, services: int, spread: float
) -> None:
    request = scored(seed, tools=tools, services=services, spread=spread)
    if spread == 0.0:
        # Rows of equal worth: without a difference only their order decides.
        request = replace(request, words=wordless(tools))
        request = replace(request, scores=request.near)
    assert covering(request, 8) == among_all(request, 8)


def test_candidates_are_widened_until_no_other_row_can_be_better() -> None:
    """A service of 500 near-equal tools lies ahead; after some of them, one elsewhere is better."""
    near = np.concatenate([np.linspace(1.0, 0.99, 500), [0.5]]).astype(np.float32)
    request = Scored(
        words=wordless(501),
        scale=1.0,
        near=near,
        scores=near,
        service_of=np.array([0] * 500 + [1], dtype=np.intp),
        allowed=np.ones(501, dtype=np.bool_),
    )
    assert covering(request, 8) == [0, 1, 2, 3, 500, 4, 5, 6]


def test_a_row_that_is_not_allowed_is_never_chosen() -> None:
    request = scored(1, tools=400, services=4)
    assert request.allowed[covering(request, 64)].all()
    assert covering(replace(request, allowed=np.zeros(400, dtype=np.bool_)), 8) == []
