"""What a cascade comes to, its thresholds fixed on other rows: right answers and spending.

Owns joining estimates, policy and recordings. Shows nothing.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from pointsman.evaluation.figures import Floats, Indices, Truths
from pointsman.evaluation.recordings import Table
from pointsman.evaluation.routing_folds import (
    ACCEPTABLE,
    SIBLING,
    SMALL_AFTER,
    STRONG_AFTER,
    STRONGER,
    TOKENS,
    Scored,
)
from pointsman.evaluation.routing_policy import (
    By,
    Policy,
    calls_at,
    score_of,
    threshold_reaching,
    threshold_within,
)
from pointsman.judge.domain.acceptance import Estimate


@dataclass(frozen=True, kw_only=True)
class Answers:
    """Which requests are answered rightly, without and with a strong call. Shapes: (n,)."""

    small: Truths
    called: Truths


@dataclass(frozen=True, kw_only=True)
class Kept:
    """What a threshold that was fixed beforehand came to. Shapes: calls (n,) of all table rows."""

    calls: Truths
    rows: Indices

    def right(self, answers: Answers) -> Truths:
        return np.where(self.calls, answers.called, answers.small)[self.rows]


def answers_of(table: Table, scored: Scored, *, second_look: bool = True) -> Answers:
    """Return the answers that the policy returns. Rows without an estimate keep the first ones.

    Without ``second_look`` the strong model's answer is always returned where it was called.
    """
    found = scored.estimates
    small = np.where(found[:, SIBLING] > found[:, ACCEPTABLE], table.sibling, table.weak)
    if not second_look:
        return Answers(small=small, called=table.strong)
    called = np.where(found[:, SMALL_AFTER] > found[:, STRONG_AFTER], small, table.strong)
    return Answers(small=small, called=called)


def scores(table: Table, scored: Scored, by: By) -> Floats:
    """Return each row's score; NaN where there is no estimate."""
    policy = Policy(cascade=table.cascade, by=by, threshold=0.0)
    found = np.full(len(table), np.nan)
    for row in np.flatnonzero(~np.isnan(scored.estimates[:, ACCEPTABLE])):
        values = scored.estimates[row]
        estimate = Estimate(
            acceptable=float(values[ACCEPTABLE]),
            sibling=float(values[SIBLING]),
            stronger=float(values[STRONGER]),
            tokens=float(values[TOKENS]),
        )
        found[row] = score_of(estimate, policy, prompt_tokens=float(table.prompt_tokens[row]))
    return found


def kept_promise(
    table: Table, scored: Scored, score: Floats, threshold_of: Callable[[Indices], float]
) -> Kept:
    """Apply each part's own threshold. ``threshold_of`` finds one on the rows it is given."""
    calls = np.zeros(len(table), np.bool_)
    for part in scored.parts:
        calls |= calls_at(table, score, part.rows, threshold_of(part.tune))
    return Kept(calls=calls, rows=scored.rows)


def keeping_accuracy(
    answers: Answers, score: Floats, wanted: Callable[[Indices], float]
) -> Callable[[Indices], float]:
    """Return how to find the threshold that is as accurate as ``wanted`` on the rows given."""
    return lambda rows: threshold_reaching(
        score[rows], answers.small[rows], answers.called[rows], accuracy=wanted(rows)
    )


def within_tokens(table: Table, score: Floats, share: float) -> Callable[[Indices], float]:
    """Return how to find the threshold that costs ``share`` of always-strong's tokens."""
    return lambda rows: threshold_within(
        score[rows],
        table.small_tokens[rows],
        table.strong_tokens[rows],
        budget=share * float(table.always_tokens[rows].sum()),
    )


def spent(small: Floats, strong: Floats, always: Floats, kept: Kept) -> Callable[[Indices], float]:
    """Return the share of always-strong's cost, as a figure of positions in ``kept.rows``."""
    paid = (small + strong * kept.calls)[kept.rows]
    whole = always[kept.rows]
    return lambda at: float(paid[at].sum() / whole[at].sum())
