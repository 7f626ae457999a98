"""How well the support heads tell unsupported answers, set by set, with length as the control."""

from pathlib import Path
from typing import Final

import numpy as np

from pointsman.evaluation.figures import Floats, Row, Truths, auroc, interval
from pointsman.evaluation.judging_data import NON_COMMERCIAL, read_labelled
from pointsman.evaluation.judging_support import (
    Features,
    features_of,
    fit,
    held_out_log_odds,
    log_odds,
    may_learn_from,
)

ARTEFACT: Final = "halueval_qa"
"""In this set length alone tells nearly all; its figure counts for nothing without the control."""
BASELINE: Final = 0.62
GOAL: Final = 0.65
MOONSHOT: Final = 0.70


def heads_report(train: Path, test: Path) -> list[Row]:
    """Return a row a set: AUROC of the head that reads it; empty without labelled answers."""
    rows = read_labelled(test)
    if not rows:
        return []
    tested = features_of(rows)
    is_one = train.resolve() == test.resolve()
    learned = tested if is_one else features_of(read_labelled(train))
    found = held_out_log_odds(tested) if is_one else log_odds(fit(learned), tested)
    lengths = np.array([len(row.answer) for row in rows], float)
    report: list[Row] = []
    for name in sorted(set(tested.sets)):
        chosen = np.array([one == name for one in tested.sets])
        how = "cross-validated" if is_one and not name.startswith(NON_COMMERCIAL) else "not learned"
        if not is_one:
            how = "set learned from --train" if name in _sets(learned) else "set not in --train"
        report.append(_row(name, found[chosen], tested.is_bad[chosen], lengths[chosen], how))
        left_out = _left_out(learned, tested, name)
        if left_out is not None:
            value = auroc(left_out, tested.is_bad[chosen])
            report.append(Row(name=f"{name}, no row of it learned", value=value))
    return report


def _sets(features: Features) -> set[str]:
    return {name for name in features.sets if not name.startswith(NON_COMMERCIAL)}


def _row(name: str, found: Floats, bad: Truths, lengths: Floats, how: str) -> Row:
    low, high = interval(lambda rows: auroc(found[rows], bad[rows]), len(bad))
    longer = auroc(lengths, bad)
    has_goal = name != ARTEFACT
    return Row(
        name=name,
        value=auroc(found, bad),
        low=low,
        high=high,
        baseline=BASELINE if has_goal else None,
        goal=GOAL if has_goal else None,
        moonshot=MOONSHOT if has_goal else None,
        note=f"{how}; {len(bad)} answers, {int(bad.sum())} bad; length alone: longer {longer:.3f},"
        f" shorter {1 - longer:.3f}",
    )


def _left_out(learned: Features, tested: Features, name: str) -> Floats | None:
    """Log-odds of one set by heads fitted on the others; None where nothing like it is left."""
    rest = np.array([one != name for one in learned.sets])
    chosen = np.array([one == name for one in tested.sets])
    kind = bool(tested.has_context[chosen].all())
    alike = may_learn_from(learned) & rest & (learned.has_context == kind)
    was_learned = name in _sets(learned)
    if not was_learned or len(set(learned.is_bad[alike].tolist())) < 2:
        return None
    return log_odds(fit(learned.take(rest)), tested.take(chosen))
