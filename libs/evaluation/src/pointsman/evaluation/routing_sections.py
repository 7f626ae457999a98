"""The sections of the routing report, one for each thing that is decided.

Owns what is compared with what, and the goals (issue 4). Reads no file.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pointsman.evaluation.figures import Floats, Indices, Row, Truths, call_curve, interval
from pointsman.evaluation.recordings import Table
from pointsman.evaluation.routing_figures import (
    Aims,
    acceptance_rows,
    curve_rows,
    promise_rows,
)
from pointsman.evaluation.routing_folds import (
    ACCEPTABLE,
    STRONGER,
    Estimator,
    Scored,
    Split,
    cascade_estimator,
    scored_seen,
    scored_unseen,
)
from pointsman.evaluation.routing_gain import Requests, fitted_gain, gains_of
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

Sections = dict[str, list[Row]]

_APGR = {"seen": Aims(goal=0.65, moonshot=0.72, baseline=0.619),
         "unseen": Aims(goal=0.61, moonshot=0.68, baseline=0.574)}  # fmt: skip
_SAVED = {"seen": Aims(goal=45, moonshot=55, baseline=38),
          "unseen": Aims(goal=35, moonshot=45, baseline=31)}  # fmt: skip
_CALIBRATION = {"seen": Aims(goal=0.03, moonshot=0.02), "unseen": Aims(goal=0.06, moonshot=0.04)}
_MMLU = Aims(goal=0.60, moonshot=0.62, baseline=0.576)

# Points over always-long: in the goals' own units 77.5 and 79.5, where always-long is 76.6.
_LONG_GOAL, _LONG_MOONSHOT = 0.9, 2.9
_LOOK = "whichever answer is trusted more is returned; runaway answers are cut"
_MARGIN = 0.97
"""Of a token budget a threshold spends so much on training rows: the promise is about others."""
_SAFER = 0.0075
"""Accuracy over the better single model that a threshold aims at, for the same reason."""


@dataclass(frozen=True, kw_only=True)
class Labelled:
    """Requests with what a small and a strong model made of them. Shapes: weak, strong (n,)."""

    requests: Requests
    weak: Truths
    strong: Truths
    groups: tuple[str, ...]


def both(split: Split, groups: tuple[str, ...], estimate: Estimator) -> dict[str, Scored]:
    """Return estimates of seen and of unseen groups, where there are rows of either."""
    found = {
        "seen": scored_seen(split, groups, estimate),
        "unseen": scored_unseen(split, groups, estimate),
    }
    return {name: scored for name, scored in found.items() if scored is not None}


def cascade_sections(table: Table, split: Split) -> Sections:
    """Return the rows of a cascade with one sibling, for seen and for unseen categories."""
    sections: Sections = {}
    for name, scored in both(split, table.categories, cascade_estimator(table)).items():
        at = scored.rows
        sections[_title(str(table.cascade), name, "categories", scored)] = [
            *accuracy_rows(table, at),
            *_curves(table, scored, _APGR[name], "one extra cheap call"),
            *promise_rows(table, scored, _SAVED[name], note="one extra cheap call; " + _LOOK),
            *acceptance_rows(scored.estimates[at, ACCEPTABLE], table.weak[at], _CALIBRATION[name]),
        ]
    return sections


def crowd_sections(table: Table, split: Split) -> Sections:
    """Return what two siblings add over one."""
    sections: Sections = {}
    for name, scored in both(split, table.categories, cascade_estimator(table)).items():
        at = scored.rows
        sections[_title(str(table.cascade), name, "categories", scored)] = [
            *_curves(table, scored, None, "two extra cheap calls: no goal is set"),
            *promise_rows(table, scored, _SAVED[name], note="two extra cheap calls; " + _LOOK),
            *acceptance_rows(scored.estimates[at, ACCEPTABLE], table.weak[at], None),
        ]
    return sections


def _curves(table: Table, scored: Scored, aims: Aims | None, note: str) -> list[Row]:
    """The cascade's curve; beside it what remains when the weak answer alone may be kept."""
    at = scored.rows
    small, strong, weak = answers_of(table, scored).small[at], table.strong[at], table.weak[at]
    score = scores(table, scored, "gain")[at]
    plain = scored.estimates[at, STRONGER] - scored.estimates[at, ACCEPTABLE]
    said = (
        f"{note}; the more trusted small answer is kept, {small.mean():.1%} right without a"
        " strong call; the gap is from the weak model alone"
    )
    return [
        *curve_rows(small, strong, score, aims, note=said, weak=weak),
        Row(
            name="APGR, the weak answer kept whatever the sibling says",
            value=call_curve(plain, weak, strong).apgr(),
            note="for comparison",
        ),
    ]


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
        rows += promise_rows(table, scored, _SAVED[name], note=f"{said}; {_LOOK}")
        rows += acceptance_rows(scored.estimates[at, ACCEPTABLE], table.weak[at], None)
        sections[_title(f"when to reason: {table.cascade}", name, "categories", scored)] = rows
    return sections


def prompt_sections(labelled: Labelled, split: Split, *, models: str) -> Sections:
    """Return routing by the request alone, before any call."""
    sections: Sections = {}
    for name, scored in both(split, labelled.groups, gain_estimator(labelled)).items():
        at = scored.rows
        sections[_title(f"RouteLLM MMLU, {models}, prompt only", name, "subjects", scored)] = [
            Row(name="accuracy, weak", value=100 * float(labelled.weak[at].mean()), unit="%"),
            Row(name="accuracy, strong", value=100 * float(labelled.strong[at].mean()), unit="%"),
            *curve_rows(
                labelled.weak[at],
                labelled.strong[at],
                scored.estimates[at, 0],
                _MMLU if name == "seen" else None,
            ),
        ]
    return sections


def gain_estimator(labelled: Labelled) -> Estimator:
    """Return what fits a gain head; the one column is the gain."""

    def estimate(train: Indices, rows: Indices) -> Floats:
        head = fitted_gain(labelled.requests, labelled.weak, labelled.strong, train)
        return gains_of(head, labelled.requests, rows)[:, None]

    return estimate


def accuracy_rows(table: Table, at: Indices) -> list[Row]:
    """Return what each model alone gets right; an answer without a letter counts wrong."""
    found = [(table.cascade.weak, table.weak), (table.cascade.strong, table.strong)]
    return [
        Row(name=f"accuracy, {model}", value=100 * float(truth[at].mean()), unit="%")
        for model, truth in found
    ]


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


def _title(what: str, name: str, groups: str, scored: Scored) -> str:
    return f"{what}; {name} {groups}, {len(scored.rows)} rows ({scored.method})"
