"""``task eval:judge``: how well answers are judged, on labelled and recorded answers.

Owns reading the options and putting the report together. Everything learned comes from
``--train``; where ``--test`` is the same folder, by cross-validation.
"""

from dataclasses import replace
from pathlib import Path

import click
import numpy as np

from pointsman.evaluation.figures import Row
from pointsman.evaluation.judging_data import JUDGE_FILE, REPLAY_FILE
from pointsman.evaluation.judging_heads import heads_report
from pointsman.evaluation.judging_support import NothingToLearnFrom
from pointsman.evaluation.judging_verdicts import cost_report, rules_report, verdicts_report
from pointsman.evaluation.loops import loops_report
from pointsman.evaluation.recordings import Cascade, Reader
from pointsman.evaluation.report import print_report, write_report
from pointsman.evaluation.routing_figures import Aims, acceptance_rows
from pointsman.evaluation.routing_folds import (
    ACCEPTABLE,
    Split,
    acceptance_estimator,
    scored_seen,
    scored_unseen,
)
from pointsman.loadgen.recordings import Recording, read_recordings

SMALL = Cascade(weak="llama-3-8b-instruct", siblings=(), strong="gpt-4o")


def judging_report(train: Path, test: Path) -> tuple[dict[str, list[Row]], list[str]]:
    """Return the report's sections and notes. Files that are missing are named in the notes."""
    is_one = train.resolve() == test.resolve()
    notes = ["learned from --train alone, measured on --test"]
    if is_one:
        notes = ["--train and --test are one folder: what is learned is cross-validated"]
    notes += [
        f"{folder / name} is absent"
        for folder in dict.fromkeys((train, test))
        for name in (JUDGE_FILE, REPLAY_FILE)
        if not (folder / name).is_file()
    ]
    try:
        heads, verdicts = heads_report(train, test), verdicts_report(train, test)
    except NothingToLearnFrom as error:
        heads, verdicts = [], []
        notes.append(f"{train}: {error}")
    sections = {
        "unsupported answers: AUROC of the support heads": heads,
        "the whole judge on labelled answers": verdicts,
        f"the judge's learned layer on {SMALL.weak}'s answers": acceptance_report(train, test),
        "the rules alone": rules_report(test),
        "loop guard": loops_report(train, test),
        "cost": cost_report(test),
    }
    return {title: rows for title, rows in sections.items() if rows}, notes


def acceptance_report(train: Path, test: Path) -> list[Row]:
    """Return calibration and ranking of acceptance on examination answers, seen and unseen."""
    if not all((folder / REPLAY_FILE).is_file() for folder in (train, test)):
        return []
    rows = _usable(train)
    learned = len(rows)
    is_one = train.resolve() == test.resolve()
    if not is_one:
        rows += _usable(test)
    if not learned or (not is_one and len(rows) == learned):
        return []
    table = Reader().table(rows, SMALL)
    every = np.arange(len(rows))
    split = Split(train=every[:learned], test=every if is_one else every[learned:])
    estimator = acceptance_estimator(table)
    found: list[Row] = []
    for what, scored, aims in (
        (
            "seen categories",
            scored_seen(split, table.categories, estimator),
            Aims(goal=0.03, moonshot=0.02),
        ),
        (
            "unseen categories",
            scored_unseen(split, table.categories, estimator),
            Aims(goal=0.06, moonshot=0.04),
        ),
    ):
        if scored is None:
            continue
        chance, truth = scored.estimates[scored.rows, ACCEPTABLE], table.weak[scored.rows]
        found += [
            replace(row, name=f"{what}: {row.name}", note=f"{scored.method}; {row.note}")
            for row in acceptance_rows(chance, truth, aims)
        ]
    return found


def _usable(folder: Path) -> list[Recording]:
    rows = read_recordings(folder / REPLAY_FILE).rows
    return [row for row in rows if set(SMALL.models) <= set(row.answers)]


@click.command(help="Measure the judge on labelled and recorded answers.")
@click.option(
    "--train", required=True, type=click.Path(exists=True, file_okay=False, path_type=Path)
)
@click.option(
    "--test", required=True, type=click.Path(exists=True, file_okay=False, path_type=Path)
)
@click.option("--json", "report", type=click.Path(dir_okay=False, path_type=Path))
def main(train: Path, test: Path, report: Path | None) -> None:
    sections, notes = judging_report(train, test)
    if not sections:
        raise click.ClickException(f"{test} holds neither {JUDGE_FILE} nor {REPLAY_FILE}")
    print_report(sections, notes=notes)
    if report is not None:
        write_report(report, sections, notes=notes)


if __name__ == "__main__":
    main()
