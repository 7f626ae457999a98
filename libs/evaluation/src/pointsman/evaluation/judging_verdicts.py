"""What the whole judge says of recorded answers: kept, caught, unsure, calibrated, and its price.

Owns the rule table with its length-only controls, and the figures of the joined verdict.
"""

import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, TypeVar

import numpy as np

from pointsman.contracts.messages import Judge
from pointsman.evaluation.figures import Floats, Row, Truths, auroc
from pointsman.evaluation.judging_data import (
    MIN_SCORE,
    NON_COMMERCIAL,
    LabelledAnswer,
    RecordedAnswer,
    command_for,
    read_labelled,
    read_recorded,
)
from pointsman.evaluation.judging_support import FOLDS, SEED, features_of, fit
from pointsman.evaluation.routing_figures import acceptance_rows
from pointsman.judge.adapters import CheapLayers, RulesScorer, load_heads
from pointsman.judge.domain import Assessment, Heads, label_of

RUNAWAY_TOKENS: Final = 1_500
"""What the data's README calls a runaway loop: an answer of more tokens than this."""
COST_ROWS: Final = 150
COST_ROUNDS: Final = 5
LONGEST_COSTED: Final = 1_200
"""The goal is for a question of 220 characters and an answer of 1,000."""


T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Judged:
    """One scored answer. ``size`` is its characters, for the control."""

    score: float
    size: int
    is_bad: bool
    label: str = ""
    probability: float = 0.0
    is_runaway: bool = False


def rules_report(test: Path) -> list[Row]:
    """Return a row a set and model: the rules alone, with length as the control."""
    rules = RulesScorer()

    def judged(question: str, answer: str, context: str, *, is_bad: bool, tokens: int) -> Judged:
        score = rules.assess(command_for(question, answer, context)).value
        return Judged(
            score=score, size=len(answer), is_bad=is_bad, is_runaway=tokens > RUNAWAY_TOKENS
        )

    groups: dict[str, list[Judged]] = defaultdict(list)
    for row in read_labelled(test):
        one = judged(row.question, row.answer, row.context, is_bad=row.is_bad, tokens=0)
        groups[row.set].append(one)
    recorded: list[Judged] = []
    for answer in read_recorded(test):
        one = judged(
            answer.prompt, answer.text, "",
            is_bad=not answer.is_correct, tokens=answer.output_tokens,
        )  # fmt: skip
        groups[answer.model].append(one)
        recorded.append(one)
    rows = [_rules_row(name, found) for name, found in groups.items()]
    return rows + ([_runaway_row(recorded)] if recorded else [])


def verdicts_report(train: Path, test: Path) -> list[Row]:
    """Return rows a set of the whole deterministic judge, with support heads that did not see it.

    Sets with a source, or without options, alone: examination answers are ``acceptance_report``'s.
    """
    rows = read_labelled(test)
    if not rows:
        return []
    judged = _assessed(read_labelled(train), rows, is_one=train.resolve() == test.resolve())
    groups: dict[str, list[Judged]] = defaultdict(list)
    for row, found in zip(rows, judged, strict=True):
        groups[row.set].append(
            Judged(
                score=found.score,
                size=len(row.answer),
                is_bad=row.is_bad,
                label=label_of(found, min_score=MIN_SCORE),
                probability=found.probability,
            )
        )
    return [row for name, found in sorted(groups.items()) for row in _verdict_rows(name, found)]


def cost_report(test: Path) -> list[Row]:
    """Return the CPU of the deterministic judge, rules and heads, a request."""
    layers, rules = CheapLayers(load_heads()), RulesScorer()
    labelled = [row for row in read_labelled(test) if len(row.answer) <= LONGEST_COSTED]
    recorded: list[RecordedAnswer] = [
        row for row in read_recorded(test) if 0 < len(row.text) <= LONGEST_COSTED
    ]
    commands = {
        "labelled answers": [
            command_for(row.question, row.answer, row.context) for row in _spread(labelled)
        ],
        "recorded answers": [command_for(row.prompt, row.text) for row in _spread(recorded)],
    }
    found: list[Row] = []
    for name, given in commands.items():
        if not given:
            continue
        alone, value = _milliseconds(rules.assess, given), _milliseconds(layers.assess, given)
        found.append(
            Row(
                name=f"CPU of the deterministic judge, {name}",
                value=value,
                goal=1.0,
                moonshot=0.3,
                unit="ms",
                better="lower",
                note=f"rules alone {alone:.2f}; answers of up to {LONGEST_COSTED} characters; best"
                f" of {COST_ROUNDS} rounds",
            )
        )
    return found


def _assessed(
    train: Sequence[LabelledAnswer], test: Sequence[LabelledAnswer], *, is_one: bool
) -> list[Assessment]:
    acceptance = load_heads().acceptance  # reads no row of these sets: they have no options

    def layers(rows: Sequence[LabelledAnswer]) -> CheapLayers:
        return CheapLayers(Heads(support=fit(features_of(rows)), acceptance=acceptance))

    if not is_one:
        judge = layers(train)
        return [judge.assess(command_for(r.question, r.answer, r.context)) for r in test]
    names = sorted({row.group for row in test})
    place = dict(zip(names, np.random.default_rng(SEED).permutation(len(names)), strict=True))
    folds = [int(place[row.group]) % FOLDS for row in test]
    judges = [
        layers([row for row, fold in zip(test, folds, strict=True) if fold != part])
        for part in range(FOLDS)
    ]
    return [
        judges[fold].assess(command_for(row.question, row.answer, row.context))
        for row, fold in zip(test, folds, strict=True)
    ]


def _verdict_rows(name: str, found: Sequence[Judged]) -> list[Row]:
    probability = np.array([one.probability for one in found])
    is_good = np.array([not one.is_bad for one in found])
    kept = _share([one.label == "accepted" for one in found], where=is_good)
    caught = _share([one.label != "accepted" for one in found], where=~is_good)
    unsure = _share([one.label == "unsure" for one in found], where=np.ones(len(found), bool))
    note = "not learned from" if name.startswith(NON_COMMERCIAL) else "its rows held out"
    return [
        Row(
            name=f"{name}: AUROC of the verdict's probability",
            value=auroc(probability, is_good),
            note=f"{note}; at minScore {MIN_SCORE:g} {kept:.1%} of the good accepted, {caught:.1%}"
            f" of the bad not, {unsure:.1%} unsure",
        ),
        *_named(name, probability, is_good),
    ]


def _named(name: str, probability: Floats, is_good: Truths) -> list[Row]:
    return [
        replace(row, name=f"{name}: {row.name}")
        for row in acceptance_rows(probability, is_good, None)
    ]


def _rules_row(name: str, found: Sequence[Judged]) -> Row:
    bad = np.array([one.is_bad for one in found], bool)
    score = np.array([one.score for one in found])
    longer = auroc(np.array([one.size for one in found], float), bad)
    kept = _share([one.score >= MIN_SCORE for one in found], where=~bad)
    caught = _share([one.score < MIN_SCORE for one in found], where=bad)
    return Row(
        name=f"{name}: AUROC of the rules' score",
        value=auroc(-score, bad),
        note=f"{len(bad)} answers, {int(bad.sum())} bad; length alone: longer {longer:.3f}, shorter"
        f" {1 - longer:.3f}; good kept {kept:.1%}, bad caught {caught:.1%}",
    )


def _runaway_row(found: Sequence[Judged]) -> Row:
    runaway = np.array([one.is_runaway for one in found], bool)
    low = [one.score < MIN_SCORE for one in found]
    return Row(
        name=f"answers over {RUNAWAY_TOKENS} tokens scored below {MIN_SCORE:g}",
        value=100 * _share(low, where=runaway),
        unit="%",
        note=f"{int(runaway.sum())} answers; of the other {int((~runaway).sum())}:"
        f" {_share(low, where=~runaway):.1%}",
    )


def _share(flags: Sequence[bool], *, where: Truths) -> float:
    return float(np.mean(np.array(flags, bool)[where])) if where.any() else float("nan")


def _spread(rows: Sequence[T]) -> Sequence[T]:
    step = max(1, len(rows) // COST_ROWS)
    return rows[::step][:COST_ROWS]


def _milliseconds(assess: Callable[[Judge], object], commands: Sequence[Judge]) -> float:
    """CPU a command, in the best round: what neighbours do to the caches is not ours."""
    spent: list[float] = []
    for _ in range(COST_ROUNDS):
        started = time.process_time()
        for command in commands:
            assess(command)
        spent.append(time.process_time() - started)
    return min(spent) / len(commands) * 1e3
