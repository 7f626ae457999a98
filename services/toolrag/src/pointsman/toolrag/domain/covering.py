"""Chooses rows one after another; each choice lowers what those like it are still worth.

Owns the choice alone: the scores come from ``retrieval``. It is exact although it looks at few
rows: choices only ever lower a row's worth, so a row that beats the first score of every row that
was left out beats those rows for good.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pointsman.toolrag.domain.lexical import Matches, Rows, Scores

COVERED_WEIGHT = 0.85
"""What a word of the request still counts after each chosen tool that holds it."""
SAME_SERVICE_PENALTY = 0.15
"""Per tool of the same service already chosen; it matters only where scores lie close together."""

_CANDIDATES_PER_CHOICE = 16
_WIDENING = 8
# Far above what float32 may lose in a sum of scores, far below any difference that means something.
_DOUBT = np.float32(1e-4)
_COVERED, _SAME_SERVICE = np.float32(COVERED_WEIGHT), np.float32(SAME_SERVICE_PENALTY)

Mask = NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class Scored:
    """What every row is worth before the first choice: words times ``scale``, plus ``near``.

    ``service_of`` is -1 for a row of no service. Shapes: near, scores, service_of, allowed (n,).
    """

    words: Matches
    scale: float
    near: Scores
    scores: Scores
    service_of: Rows
    allowed: Mask


def covering(scored: Scored, k: int) -> list[int]:
    """Return at most ``k`` of the allowed rows in the order of choice. Ties: lower row first."""
    size = _CANDIDATES_PER_CHOICE * k
    while True:
        rows, left_out = _best(scored, size)
        chosen = _chosen(scored, rows, left_out, k)
        if chosen is not None:
            return chosen
        size *= _WIDENING


def _best(scored: Scored, size: int) -> tuple[Rows, np.float32]:
    """Return the ``size`` best allowed rows, ascending, and the best score of those left out."""
    if np.count_nonzero(scored.allowed) <= size:
        return np.flatnonzero(scored.allowed), np.float32(-np.inf)
    scores = np.where(scored.allowed, scored.scores, np.float32(-np.inf))
    cut = len(scores) - size
    order = scores.argpartition(cut - 1)
    return np.sort(order[cut:]), np.float32(scores[order[cut - 1]])


def _chosen(scored: Scored, rows: Rows, left_out: np.float32, k: int) -> list[int] | None:
    """Choose among ``rows``; None where a row that was left out might have been chosen."""
    parts = scored.scale * scored.words.among(rows)
    covers = np.where(parts > 0, _COVERED, np.float32(1))
    near, service_of = scored.near[rows], scored.service_of[rows]
    chosen: list[int] = []
    for _ in range(min(k, len(rows))):
        worth = np.add.reduce(parts, axis=0) + near
        at = int(worth.argmax())
        if worth[at] <= left_out + _DOUBT:
            return None
        chosen.append(int(rows[at]))
        parts *= covers[:, at, np.newaxis]
        if service_of[at] >= 0:
            near -= _SAME_SERVICE * (service_of == service_of[at])
        near[at] = -np.inf
    return chosen
