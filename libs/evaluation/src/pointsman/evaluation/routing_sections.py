"""The sections of the routing report, one for each thing that is decided.

Owns what is compared with what, and the goals (issue 4). Reads no file.
"""

from dataclasses import dataclass

from pointsman.evaluation.figures import Floats, Indices, Row, Truths, call_curve
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
    answers_of,
    scores,
)

Sections = dict[str, list[Row]]

_APGR = {"seen": Aims(goal=0.65, moonshot=0.72, baseline=0.619),
         "unseen": Aims(goal=0.61, moonshot=0.68, baseline=0.574)}  # fmt: skip
SAVED = {"seen": Aims(goal=45, moonshot=55, baseline=38),
         "unseen": Aims(goal=35, moonshot=45, baseline=31)}  # fmt: skip
_CALIBRATION = {"seen": Aims(goal=0.03, moonshot=0.02), "unseen": Aims(goal=0.06, moonshot=0.04)}
_MMLU = Aims(goal=0.60, moonshot=0.62, baseline=0.576)

LOOK = "whichever answer is trusted more is returned; runaway answers are cut"


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
        sections[title_of(str(table.cascade), name, "categories", scored)] = [
            *accuracy_rows(table, at),
            *_curves(table, scored, _APGR[name], "one extra cheap call"),
            *promise_rows(table, scored, SAVED[name], note="one extra cheap call; " + LOOK),
            *acceptance_rows(scored.estimates[at, ACCEPTABLE], table.weak[at], _CALIBRATION[name]),
        ]
    return sections


def crowd_sections(table: Table, split: Split) -> Sections:
    """Return what two siblings add over one."""
    sections: Sections = {}
    for name, scored in both(split, table.categories, cascade_estimator(table)).items():
        at = scored.rows
        sections[title_of(str(table.cascade), name, "categories", scored)] = [
            *_curves(table, scored, None, "two extra cheap calls: no goal is set"),
            *promise_rows(table, scored, SAVED[name], note="two extra cheap calls; " + LOOK),
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


def prompt_sections(labelled: Labelled, split: Split, *, models: str) -> Sections:
    """Return routing by the request alone, before any call."""
    sections: Sections = {}
    for name, scored in both(split, labelled.groups, gain_estimator(labelled)).items():
        at = scored.rows
        sections[title_of(f"RouteLLM MMLU, {models}, prompt only", name, "subjects", scored)] = [
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


def title_of(what: str, name: str, groups: str, scored: Scored) -> str:
    return f"{what}; {name} {groups}, {len(scored.rows)} rows ({scored.method})"
