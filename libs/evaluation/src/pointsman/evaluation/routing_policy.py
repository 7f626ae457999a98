"""When a cascade calls its strong model, and whose answer it returns.

Owns the score, how a threshold is found on rows that were not trained on, and one request's
decision. Of the weak answer and the first sibling's the more trusted is kept; where the strong
model was called, the kept one is returned in its place if it is trusted more. Measures nothing.
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


_SECOND_LOOK = 0.03
"""Added to every gain. The more trusted of two small answers is trusted a little too much, and
the small answer is not lost by a call. Flat between 0.02 and 0.08 on the development recordings."""


@dataclass(frozen=True, kw_only=True)
class Heads:
    """``before`` reads the small answers; ``after`` the strong one with the small ones beside it.

    ``after`` finds the strong answer ``acceptable``, and the small answer put first ``sibling``.
    """

    before: Acceptance
    after: Acceptance


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
    row: Recording, heads: Heads, policy: Policy, *, reader: Reader | None = None
) -> Decision:
    """Decide one recorded request as the cascade would, answer by answer."""
    reader = reader or Reader()
    cascade = policy.cascade
    estimate = heads.before.estimate(reader.inputs(row, cascade))
    score = score_of(estimate, policy, prompt_tokens=row.prompt_tokens)
    takes_sibling = bool(cascade.siblings) and prefers_sibling(estimate)
    answered_by = cascade.siblings[0] if takes_sibling else cascade.weak
    models = (cascade.weak, *cascade.siblings)
    if score >= policy.threshold:
        models = cascade.models
        inputs = reader.inputs_after(row, cascade, sibling_first=takes_sibling)
        if not prefers_sibling(heads.after.estimate(inputs)):
            answered_by = cascade.strong
    return Decision(
        models=models,
        answered_by=answered_by,
        score=score,
        output_tokens=sum(reader.answer(row, model).tokens for model in models),
        dollars=reader.dollars(row, models),
    )


def prefers_sibling(estimate: Estimate) -> bool:
    """Whether the first answer beside the one looked at is trusted more."""
    return estimate.sibling > estimate.acceptable


def score_of(estimate: Estimate, policy: Policy, *, prompt_tokens: float) -> float:
    """Return what calling the strong model is worth: the gain, or the gain by what it costs."""
    tokens = max(_LEAST_TOKENS, estimate.tokens)
    trust = max(estimate.acceptable, estimate.sibling)
    gain = estimate.stronger - trust + _SECOND_LOOK
    match policy.by:
        case "gain":
            return gain
        case "gain per token":
            return 1_000 * gain / tokens
        case "gain per dollar":
            return gain / price(policy.cascade.strong, prompt_tokens, tokens) / 1_000


def threshold_reaching(score: Floats, weak: Truths, strong: Truths, *, accuracy: float) -> float:
    """Return the highest threshold from which on the cascade is at least so accurate.

    Minus infinity, which calls the strong model always, where none is. Shapes: all (n,).
    """
    order = np.argsort(-score, kind="stable")
    reached = _running(weak.astype(float), strong.astype(float), order) / len(score)
    enough = np.flatnonzero(reached >= accuracy)
    return _before(score[order], int(enough[0])) if enough.size else -np.inf


def threshold_within(score: Floats, small: Floats, strong: Floats, *, budget: float) -> float:
    """Return the lowest threshold that costs at most ``budget`` over all rows.

    ``small`` is paid for every row, ``strong`` on top where it is called. Shapes: all (n,).
    """
    order = np.argsort(-score, kind="stable")
    paid = _running(small, small + strong, order)
    within = np.flatnonzero(paid <= budget)
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
