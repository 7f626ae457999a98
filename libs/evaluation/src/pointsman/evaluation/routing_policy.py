"""When a cascade calls its strong model: the score, the threshold, and one request's decision.

Owns how a threshold is found on rows that were not trained on. Measures nothing.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from pointsman.evaluation.figures import Floats, Indices, Truths
from pointsman.evaluation.recordings import Cascade, Reader, Table, price
from pointsman.judge.domain.acceptance import Acceptance, Estimate
from pointsman.loadgen.recordings import Recording

By = Literal["gain", "gain per dollar", "gain per token"]

_LEAST_TOKENS = 20.0
"""No answer of a strong model is expected shorter: a gain is not divided by almost nothing."""


@dataclass(frozen=True, kw_only=True)
class Policy:
    """Call the strong model where the score is ``threshold`` or more."""

    cascade: Cascade
    by: By
    threshold: float


@dataclass(frozen=True, kw_only=True)
class Decision:
    """What became of a request: who was called, in order, who answered, and what it cost.

    Tokens are of answers; ``dollars`` counts every call's prompt too.
    """

    models: tuple[str, ...]
    answered_by: str
    score: float
    output_tokens: float
    dollars: float


def route_recorded(
    row: Recording, heads: Acceptance, policy: Policy, *, reader: Reader | None = None
) -> Decision:
    """Decide one recorded request as the cascade would, from its weak answer and its siblings'."""
    reader = reader or Reader()
    cascade = policy.cascade
    estimate = heads.estimate(reader.inputs(row, cascade))
    score = score_of(estimate, policy, prompt_tokens=row.prompt_tokens)
    is_strong = score >= policy.threshold
    models = cascade.models if is_strong else (cascade.weak, *cascade.siblings)
    return Decision(
        models=models,
        answered_by=cascade.strong if is_strong else cascade.weak,
        score=score,
        output_tokens=sum(reader.paid_tokens(row, model) for model in models),
        dollars=reader.dollars(row, models),
    )


def score_of(estimate: Estimate, policy: Policy, *, prompt_tokens: float) -> float:
    """Return what calling the strong model is worth: the gain, or the gain by what it costs."""
    tokens = max(_LEAST_TOKENS, estimate.tokens)
    match policy.by:
        case "gain":
            return estimate.gain
        case "gain per token":
            return 1_000 * estimate.gain / tokens
        case "gain per dollar":
            return estimate.gain / price(policy.cascade.strong, prompt_tokens, tokens) / 1_000


def threshold_reaching(score: Floats, weak: Truths, strong: Truths, *, accuracy: float) -> float:
    """Return the highest threshold from which on the cascade is at least so accurate.

    Minus infinity, which calls the strong model always, where none is. Shapes: all (n,).
    """
    order = np.argsort(-score, kind="stable")
    reached = _running(weak.astype(float), strong.astype(float), order) / len(score)
    enough = np.flatnonzero(reached >= accuracy)
    return _before(score[order], int(enough[0])) if enough.size else -np.inf


def threshold_within(score: Floats, small: Floats, strong: Floats, *, share: float) -> float:
    """Return the lowest threshold that costs at most ``share`` of always calling the strong model.

    ``small`` is paid for every row, ``strong`` on top where it is called. Shapes: all (n,).
    """
    order = np.argsort(-score, kind="stable")
    paid = _running(small, small + strong, order)
    within = np.flatnonzero(paid <= share * strong.sum())
    return _before(score[order], int(within[-1])) if within.size else np.inf


def calls_at(table: Table, score: Floats, rows: Indices, threshold: float) -> Truths:
    """Return which rows of the table call the strong model; false for all but ``rows``."""
    calls = np.zeros(len(table), np.bool_)
    calls[rows] = score[rows] >= threshold
    return calls


def _running(without: Floats, with_strong: Floats, order: Indices) -> Floats:
    """Sums over all rows when the first 0, 1, 2 ... of ``order`` call the strong model."""
    changes = np.cumsum((with_strong - without)[order])
    return np.concatenate([[0.0], changes]) + without.sum()


def _before(ranked: Floats, calls: int) -> float:
    """The threshold that the first ``calls`` of the ranked scores reach."""
    if calls == 0:
        return np.inf
    if calls == len(ranked):
        return -np.inf
    return float((ranked[calls - 1] + ranked[calls]) / 2)
