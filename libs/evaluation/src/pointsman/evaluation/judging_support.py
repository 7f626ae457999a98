"""Fits the judge's support heads and writes the file they are shipped in, with its model card.

Learns from sets that may be used commercially alone. Owns no figure of the evaluation.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from sklearn.linear_model import LogisticRegression

from pointsman.evaluation.figures import Floats, Truths, auroc
from pointsman.evaluation.judging_data import NON_COMMERCIAL, LabelledAnswer, read_labelled
from pointsman.judge.domain.claims import BUCKETS, claim_signs
from pointsman.judge.domain.support import (
    CLAIM_INPUTS,
    GROUNDED_INPUTS,
    Head,
    Support,
    grounded_inputs,
    word_inputs,
)
from pointsman.scorers.scorer_file import write_scorer

SEED: Final = 0
FOLDS: Final = 5
GROUNDED_C: Final = 0.1
CLAIMS_C: Final = 0.1
SIGN_WEIGHT: Final = 0.15
"""Standardised signs are multiplied by it beside the hashed words: how far the penalty spares them.
With ``CLAIMS_C`` the best of a small grid by cross-validation; the grid moved AUROC by 0.01."""
SUPPORT_FILE: Final = "support.npz"
CARD_FILE: Final = "SUPPORT_CARD.md"


class NothingToLearnFrom(ValueError):
    """The folder lacks the labelled answers that a head needs."""


@dataclass(frozen=True, kw_only=True)
class Features:
    """What the heads read of some rows. Shapes: grounded (n, inputs), signs (n, inputs), words
    (n, 2 * buckets), is_bad (n,); grounded is zero where a row has no context."""

    grounded: Floats
    signs: Floats
    words: Floats
    is_bad: Truths
    has_context: Truths
    sets: tuple[str, ...]
    groups: tuple[str, ...]

    def take(self, chosen: Truths) -> "Features":
        places = np.flatnonzero(chosen)
        return Features(
            grounded=self.grounded[places],
            signs=self.signs[places],
            words=self.words[places],
            is_bad=self.is_bad[places],
            has_context=self.has_context[places],
            sets=tuple(self.sets[place] for place in places),
            groups=tuple(self.groups[place] for place in places),
        )


def features_of(rows: Sequence[LabelledAnswer]) -> Features:
    nothing = np.zeros(len(GROUNDED_INPUTS))
    return Features(
        grounded=np.array(
            [
                grounded_inputs(row.question, row.context, row.answer) if row.context else nothing
                for row in rows
            ]
        ).reshape(len(rows), len(GROUNDED_INPUTS)),
        signs=np.array([claim_signs(row.question, row.answer) for row in rows]),
        words=np.array([word_inputs(row.question, row.answer) for row in rows]),
        is_bad=np.array([row.is_bad for row in rows], bool),
        has_context=np.array([bool(row.context) for row in rows], bool),
        sets=tuple(row.set for row in rows),
        groups=tuple(row.group for row in rows),
    )


def may_learn_from(features: Features) -> Truths:
    return np.array([not name.startswith(NON_COMMERCIAL) for name in features.sets], bool)


def fit(features: Features) -> Support:
    """Fit both heads on the rows that may be learned from.

    Raises: NothingToLearnFrom.
    """
    usable = features.take(may_learn_from(features))
    sourced, alone = usable.take(usable.has_context), usable.take(~usable.has_context)
    for name, part in (("with", sourced), ("without", alone)):
        if len(set(part.is_bad.tolist())) < 2:
            raise NothingToLearnFrom(f"no good and bad answers {name} a context to learn from")
    grounded = _grounded(sourced)
    claims, words = _claims(alone)
    return Support(grounded=grounded, claims=claims, words=words)


def log_odds(support: Support, features: Features) -> Floats:
    """Return the log-odds that each row is unsupported, by the head that is for it."""
    sourced = features.grounded @ support.grounded.weights + support.grounded.bias
    alone = features.signs @ support.claims.weights + support.claims.bias
    alone = alone + features.words @ support.words.ravel()
    return np.where(features.has_context, sourced, alone)


def held_out_log_odds(features: Features) -> Floats:
    """Return what heads say of rows they were not fitted on: by question, five parts.

    Rows that nothing may be learned from are judged by the heads of the first part.
    """
    named = {name: number for number, name in enumerate(sorted(set(features.groups)))}
    shuffled = np.random.default_rng(SEED).permutation(len(named))
    fold = np.array([shuffled[named[name]] % FOLDS for name in features.groups])
    found = np.zeros(len(fold))
    usable = may_learn_from(features)
    for part in range(FOLDS):
        support = fit(features.take(fold != part))
        judged = (fold == part) & usable
        if part == 0:
            judged |= ~usable
        found[judged] = log_odds(support, features.take(judged))
    return found


def fit_support(data: Path, out: Path) -> None:
    """Fit on the answers in ``data`` and write weights and model card into ``out``.

    Raises: NothingToLearnFrom.
    """
    features = features_of(read_labelled(data))
    support = fit(features)
    write_scorer(out / SUPPORT_FILE, support.arrays())
    (out / CARD_FILE).write_text(_card(features))


def _grounded(rows: Features) -> Head:
    mean, scale = rows.grounded.mean(axis=0), rows.grounded.std(axis=0) + 1e-9
    model = LogisticRegression(C=GROUNDED_C, max_iter=3_000)
    model.fit((rows.grounded - mean) / scale, rows.is_bad, sample_weight=_even(rows))
    return _head(model, mean, scale)


def _claims(rows: Features) -> tuple[Head, Floats]:
    mean, scale = rows.signs.mean(axis=0), rows.signs.std(axis=0) + 1e-9
    signs = (rows.signs - mean) / scale * SIGN_WEIGHT
    model = LogisticRegression(C=CLAIMS_C, max_iter=3_000)
    model.fit(np.hstack([signs, rows.words]), rows.is_bad)
    weights: Floats = np.asarray(model.coef_, np.float64)[0]
    known = len(CLAIM_INPUTS)
    head_weights = weights[:known] * SIGN_WEIGHT / scale
    bias = float(np.asarray(model.intercept_)[0] - head_weights @ mean)
    return Head(weights=head_weights, bias=bias), weights[known:].reshape(2, BUCKETS)


def _head(model: LogisticRegression, mean: Floats, scale: Floats) -> Head:
    weights: Floats = np.asarray(model.coef_, np.float64)[0] / scale
    return Head(weights=weights, bias=float(np.asarray(model.intercept_)[0] - weights @ mean))


def _even(rows: Features) -> Floats:
    """Weights by which each set counts alike, and in it good and bad answers count alike."""
    kinds = [f"{name}.{is_bad}" for name, is_bad in zip(rows.sets, rows.is_bad, strict=True)]
    names, where, counts = np.unique(kinds, return_inverse=True, return_counts=True)
    return len(kinds) / len(names) / counts[where]


def _card(features: Features) -> str:
    usable = features.take(may_learn_from(features))
    found = held_out_log_odds(usable)
    lines = [
        "# Support heads",
        "",
        "Two logistic regressions: is an answer supported by its source, and, where there is none,",
        "does it make something up. Written by `task train:routing`; read by judge.",
        "",
        f"- seed {SEED}; {FOLDS} parts by question; C {GROUNDED_C} and {CLAIMS_C}",
        "- sources: HaluEval general and QA (MIT), BEGIN WoW (CC BY 4.0)",
        "- left out: felm (CC BY-NC-SA 4.0)",
        "- with a source each set, and in it good and bad answers, counts alike: 0.5 is neutral",
        "- length of answer and source is no input of the head with a source",
        "",
        "| set | answers | bad | AUROC, cross-validated |",
        "| --- | --- | --- | --- |",
    ]
    for name in sorted(set(usable.sets)):
        chosen = np.array([one == name for one in usable.sets])
        bad = usable.is_bad[chosen]
        value = auroc(found[chosen], bad)
        lines.append(f"| {name} | {len(bad)} | {int(bad.sum())} | {value:.3f} |")
    return "\n".join(lines) + "\n"
