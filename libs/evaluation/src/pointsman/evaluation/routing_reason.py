"""When to reason: the short model first, and the long one where it is worth its tokens.

Owns these sections of the routing report and their goals (issue 4). Reads no file.
"""

from collections.abc import Sequence

import numpy as np

from pointsman.evaluation.figures import Indices, Row, Truths, interval
from pointsman.evaluation.recordings import Table
from pointsman.evaluation.routing_figures import acceptance_rows, promise_rows
from pointsman.evaluation.routing_folds import ACCEPTABLE, Scored, Split, cascade_estimator
from pointsman.evaluation.routing_gain import Requests
from pointsman.evaluation.routing_outcomes import (
    Answers,
    Kept,
    answers_of,
    keeping_accuracy,
    kept_promise,
    scores,
    spent,
    within_tokens,
)
from pointsman.evaluation.routing_sections import (
    LOOK,
    SAVED,
    Labelled,
    Sections,
    accuracy_rows,
    both,
    gain_estimator,
    title_of,
)

# Points over always-long: in the goals' own units 77.5 and 79.5, where always-long is 76.6.
_LONG_GOAL, _LONG_MOONSHOT = 0.9, 2.9
_MARGIN = 0.97
"""Of a token budget a threshold spends so much on training rows: the promise is about others."""
_SAFER = 0.0075
"""Accuracy over the better single model that a threshold aims at, for the same reason."""


def reason_sections(table: Table, split: Split, requests: Requests) -> Sections:
    """Return when to reason: short answers first, and the long model where it is worth it."""
    labelled = Labelled(
        requests=requests, weak=table.weak, strong=table.strong, groups=table.categories
    )
    sections: Sections = {}
    before = both(split, table.categories, gain_estimator(labelled))
    for name, scored in both(split, table.categories, cascade_estimator(table)).items():
        at = scored.rows
        rows = [*accuracy_rows(table, at)]
        if name == "seen":
            rows += _half_rows(table, scored) + _before_rows(table, before[name])
        else:
            rows += _no_worse_rows(table, scored)
        said = f"any recorded model may answer: {table.cascade.weak} in the small model's place"
        rows += promise_rows(table, scored, SAVED[name], note=f"{said}; {LOOK}")
        rows += acceptance_rows(scored.estimates[at, ACCEPTABLE], table.weak[at], None)
        sections[title_of(f"when to reason: {table.cascade}", name, "categories", scored)] = rows
    return sections


def _half_rows(table: Table, scored: Scored) -> list[Row]:
    """Accuracy at a half, and at 45 %, of always-long's tokens."""
    score, answers = scores(table, scored, "gain per token"), answers_of(table, scored)
    rows: list[Row] = []
    for share, goal, moonshot in ((0.5, _LONG_GOAL, None), (0.45, _LONG_MOONSHOT, _LONG_MOONSHOT)):
        kept = kept_promise(table, scored, score, within_tokens(table, score, _MARGIN * share))
        always = 100 * float(table.strong[kept.rows].mean())
        rows.append(
            _accuracy_row(
                kept.right(answers),
                f"accuracy at most {share:.0%} of always-long's tokens",
                goal=always + goal,
                moonshot=always + _LONG_MOONSHOT if moonshot else None,
                note=f"short answer seen and counted; goal: always-long + {goal}"
                f"{' (the moonshot)' if moonshot else ''}",
            )
        )
        rows.append(_tokens_row(table, kept, goal=100 * (1 - share), moonshot=None))
    return rows


def _before_rows(table: Table, scored: Scored) -> list[Row]:
    """The same budget when the request alone is looked at, and only one model is called."""
    score = np.full(len(table), np.nan)
    known = ~np.isnan(scored.estimates[:, 0])
    score[known] = scored.estimates[known, 0]
    calls = np.zeros(len(table), np.bool_)
    for part in scored.parts:
        order = part.tune[np.argsort(-score[part.tune], kind="stable")]
        change = np.cumsum((table.strong_tokens - table.small_tokens)[order])
        paid = change + table.small_tokens[part.tune].sum()
        within = np.flatnonzero(paid <= 0.5 * _MARGIN * table.always_tokens[part.tune].sum())
        threshold = score[order][within[-1]] if within.size else np.inf
        calls[part.rows] = score[part.rows] >= threshold
    kept = Kept(calls=calls, rows=scored.rows)
    at = kept.rows
    chosen = Answers(small=table.weak, called=table.strong)
    paid = np.where(calls, table.strong_tokens, table.small_tokens)[at].sum()
    return [
        Row(
            name="accuracy when only the request is looked at",
            value=100 * float(kept.right(chosen).mean()),
            unit="%",
            note="before any call; tokens"
            f" {paid / table.always_tokens[at].sum():.0%} of always-long's",
        )
    ]


def _no_worse_rows(table: Table, scored: Scored) -> list[Row]:
    """Fewest tokens at which the cascade is no worse than the better single model."""
    score = scores(table, scored, "gain per token")

    def better(rows: Indices) -> float:
        single = max(table.weak[rows].mean(), table.strong[rows].mean())
        return float(single) + _SAFER

    answers = answers_of(table, scored)
    kept = kept_promise(table, scored, score, keeping_accuracy(answers, score, better))
    at = kept.rows
    right = kept.right(answers)
    weak, strong = table.weak[at], table.strong[at]

    def over(rows: Indices) -> float:
        return 100 * float(right[rows].mean() - max(weak[rows].mean(), strong[rows].mean()))

    low, high = interval(over, len(at))
    worse = _worse_categories(table, at, right)
    return [
        Row(
            name="accuracy over the better single model",
            value=over(np.arange(len(at))),
            low=low,
            high=high,
            goal=0.0,
            unit="points",
            note=f"over all such rows; below its own better model in: {', '.join(worse) or 'none'}",
        ),
        _tokens_row(table, kept, goal=70.0, moonshot=85.0),
    ]


def _worse_categories(table: Table, at: Indices, right: Truths) -> Sequence[str]:
    """Return categories below their own better model. Shapes: right as ``at``."""
    named = np.array([table.categories[int(row)] for row in at])
    found: list[str] = []
    for name in sorted({str(each) for each in named}):
        own = named == name
        better = max(table.weak[at][own].mean(), table.strong[at][own].mean())
        if right[own].mean() < better:
            found.append(f"{name} {100 * (right[own].mean() - better):+.1f}")
    return found


def _accuracy_row(
    right: Truths, name: str, *, goal: float, moonshot: float | None, note: str
) -> Row:
    low, high = interval(lambda at: 100 * float(right[at].mean()), len(right))
    return Row(
        name=name,
        value=100 * float(right.mean()),
        low=low,
        high=high,
        goal=goal,
        moonshot=moonshot,
        unit="%",
        note=note,
    )


def _tokens_row(table: Table, kept: Kept, *, goal: float, moonshot: float | None) -> Row:
    share = spent(table.small_tokens, table.strong_tokens, table.always_tokens, kept)
    at = kept.rows
    called = float(kept.calls[at].mean())
    weak, strong = float(table.weak[at].mean()), float(table.strong[at].mean())
    low, high = interval(lambda rows: 100 * (1 - share(rows)), len(at))
    return Row(
        name="tokens saved there",
        value=100 * (1 - share(np.arange(len(at)))),
        low=low,
        high=high,
        goal=goal,
        moonshot=moonshot,
        unit="%",
        note=f"long model called for {called:.0%};"
        f" a random choice of as many: {weak + called * (strong - weak):.1%}",
    )
