"""Who is trained on what: cross-validation on one folder, or trained on one and tested on another.

Owns the splits and fitting an acceptance head. Every estimate here is of a row that its head was
not trained on, and every threshold comes from rows other than those it is applied to.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from pointsman.evaluation.figures import Floats, Indices
from pointsman.evaluation.recordings import Table
from pointsman.evaluation.routing_trees import Grown, grown_classifier, grown_regressor
from pointsman.judge.domain.acceptance import Acceptance
from pointsman.scorers.trees import joined

FOLDS = 5
SEED = 20260117

ACCEPTABLE, SIBLING, STRONGER, TOKENS, STRONG_AFTER, SMALL_AFTER = range(6)
"""Columns of estimates: probabilities, and the strong answer's expected tokens. The last two are
of the strong answer and of the small one that was kept, once the strong model has answered."""

Estimator = Callable[[Indices, Indices], Floats]
"""Trains on the first rows and returns estimates of the second. Shapes: (n, columns)."""


@dataclass(frozen=True, kw_only=True)
class Part:
    """Rows whose thresholds come from ``tune`` and are applied to ``rows``."""

    tune: Indices
    rows: Indices


@dataclass(frozen=True, kw_only=True)
class Scored:
    """Estimates of rows by heads that did not see them.

    Shapes: estimates (all rows, columns). ``parts`` cover ``rows``, each row once.
    """

    estimates: Floats
    parts: tuple[Part, ...]
    method: str

    @property
    def rows(self) -> Indices:
        return np.sort(np.concatenate([part.rows for part in self.parts]))


@dataclass(frozen=True, kw_only=True)
class Split:
    """Which rows are trained on and which tested; the same rows where one folder is both."""

    train: Indices
    test: Indices

    @property
    def is_one(self) -> bool:
        return np.array_equal(self.train, self.test)


def scored_seen(split: Split, groups: tuple[str, ...], estimate: Estimator) -> Scored | None:
    """Estimate test rows of groups (categories, subjects) that training rows have too."""
    folds = _shuffled_folds(split.train)
    if split.is_one:
        return _crossed(folds, len(groups), estimate, f"{FOLDS}-fold cross-validation")
    known = set(_named(split.train, groups))
    wanted = [name in known for name in _named(split.test, groups)]
    return _tested(split, folds, wanted, groups, estimate)


def scored_unseen(split: Split, groups: tuple[str, ...], estimate: Estimator) -> Scored | None:
    """Estimate test rows of groups that no training row is of; None where there are none."""
    folds = _group_folds(split.train, groups)
    if len(folds) < 2 and split.is_one:
        return None
    if len(folds) < 2:
        # One group cannot be left out of itself; thresholds then come from ordinary folds.
        folds = _shuffled_folds(split.train)
    if split.is_one:
        return _crossed(folds, len(groups), estimate, f"{len(folds)} groups left out in turn")
    known = set(_named(split.train, groups))
    wanted = [name not in known for name in _named(split.test, groups)]
    return _tested(split, folds, wanted, groups, estimate)


def fitted_acceptance(table: Table, rows: Indices, *, seed: int = SEED) -> Acceptance:
    """Grow a head on ``rows`` of the table. Its sums are the log-odds: no last step is fitted."""
    inputs = table.inputs[rows]
    weak = grown_classifier(inputs, table.weak[rows], seed=seed)
    sibling = weak
    if table.cascade.siblings:
        sibling = grown_classifier(inputs, table.sibling[rows], seed=seed)
    stronger = grown_classifier(inputs, table.strong[rows], seed=seed)
    tokens = grown_regressor(inputs, np.log1p(table.strong_tokens[rows]), seed=seed)
    return _as_grown(weak, sibling, stronger, tokens)


def fitted_after(table: Table, rows: Indices, *, seed: int = SEED) -> Acceptance:
    """Grow the head that compares the strong answer with a small one, on ``rows``.

    Every other row has the sibling first, so it learns of either order.
    """
    turned = np.arange(len(rows)) % 2 == 1
    inputs = np.where(turned[:, None], table.after_sibling[rows], table.after[rows])
    first = np.where(turned, table.sibling[rows], table.weak[rows])
    unasked = grown_classifier(inputs, np.ones(len(rows), np.bool_), seed=seed)
    strong = grown_classifier(inputs, table.strong[rows], seed=seed)
    return _as_grown(strong, grown_classifier(inputs, first, seed=seed), unasked, unasked)


def _as_grown(*outputs: Grown) -> Acceptance:
    return Acceptance(
        trees=joined(outputs), alone=np.array([0.0, 1.0]), with_gain=np.array([0.0, 1.0, 0.0])
    )


def estimates_of(head: Acceptance, table: Table, rows: Indices) -> Floats:
    """Return the estimates of ``rows``, as production makes them: one at a time."""
    found = [head.estimate(table.inputs[row]) for row in rows]
    return np.array([(each.acceptable, each.sibling, each.stronger, each.tokens) for each in found])


def acceptance_estimator(table: Table) -> Estimator:
    """Return what is expected of rows before the strong model is called: four columns."""

    def estimate(train: Indices, rows: Indices) -> Floats:
        return estimates_of(fitted_acceptance(table, train), table, rows)

    return estimate


def cascade_estimator(table: Table) -> Estimator:
    """Return what is expected before the strong model is called, and after it: six columns."""

    def estimate(train: Indices, rows: Indices) -> Floats:
        before = estimates_of(fitted_acceptance(table, train), table, rows)
        after = estimates_after(fitted_after(table, train), table, rows, before)
        return np.hstack([before, after])

    return estimate


def estimates_after(head: Acceptance, table: Table, rows: Indices, before: Floats) -> Floats:
    """Return the last two columns of ``rows``. Shapes: before (rows, 4 or more), to (rows, 2)."""
    turned = before[:, SIBLING] > before[:, ACCEPTABLE]
    found = [
        head.estimate((table.after_sibling if is_turned else table.after)[row])
        for row, is_turned in zip(rows, turned, strict=True)
    ]
    return np.array([(each.acceptable, each.sibling) for each in found])


def _named(rows: Indices, groups: tuple[str, ...]) -> list[str]:
    return [groups[int(row)] for row in rows]


def _shuffled_folds(rows: Indices) -> list[Indices]:
    return [
        np.sort(each)
        for each in np.array_split(np.random.default_rng(SEED).permutation(rows), FOLDS)
    ]


def _group_folds(rows: Indices, groups: tuple[str, ...]) -> list[Indices]:
    """Each group is a fold, or a dozen of groups where there are many."""
    names = sorted(set(_named(rows, groups)))
    shuffled = [str(name) for name in np.random.default_rng(SEED).permutation(names)]
    held = np.array_split(shuffled, min(12, len(shuffled))) if shuffled else []
    own = np.array(_named(rows, groups))
    return [rows[np.isin(own, each)] for each in held]


def _crossed(folds: Sequence[Indices], count: int, estimate: Estimator, method: str) -> Scored:
    estimates = _out_of_fold(folds, count, estimate)
    return Scored(
        estimates=estimates,
        parts=tuple(Part(tune=_others(folds, at), rows=fold) for at, fold in enumerate(folds)),
        method=method,
    )


def _tested(
    split: Split,
    folds: Sequence[Indices],
    wanted: Sequence[bool],
    groups: tuple[str, ...],
    estimate: Estimator,
) -> Scored | None:
    rows = split.test[np.array(wanted, np.bool_)]
    if not rows.size:
        return None
    # Thresholds need estimates of training rows, by heads that did not see those.
    estimates = _out_of_fold(folds, len(groups), estimate)
    estimates[rows] = estimate(split.train, rows)
    part = Part(tune=split.train, rows=rows)
    return Scored(estimates=estimates, parts=(part,), method="trained on --train, tested on --test")


def _out_of_fold(folds: Sequence[Indices], count: int, estimate: Estimator) -> Floats:
    estimates: Floats | None = None
    for at, fold in enumerate(folds):
        found = estimate(_others(folds, at), fold)
        if estimates is None:
            estimates = np.full((count, found.shape[1]), np.nan)
        estimates[fold] = found
    return np.zeros((count, 1)) if estimates is None else estimates


def _others(folds: Sequence[Indices], at: int) -> Indices:
    return np.sort(np.concatenate([fold for number, fold in enumerate(folds) if number != at]))
