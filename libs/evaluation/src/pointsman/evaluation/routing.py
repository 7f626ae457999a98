"""``task eval:routing``: how well models are chosen, on recorded answers.

Owns reading the folders and putting the report together. Everything learned and every threshold
comes from ``--train``; where ``--test`` is the same folder, by cross-validation.
"""

import gzip
import json
import time
from collections import Counter
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import click
import numpy as np

from pointsman.evaluation.figures import Row
from pointsman.evaluation.recordings import (
    CROWD,
    FILE,
    LLAMA,
    PRICES,
    REASON,
    Cascade,
    Reader,
    Table,
)
from pointsman.evaluation.report import print_report, write_report
from pointsman.evaluation.routing_cost import cost_rows
from pointsman.evaluation.routing_folds import Split
from pointsman.evaluation.routing_gain import Requests, read_requests
from pointsman.evaluation.routing_reason import reason_sections
from pointsman.evaluation.routing_sections import (
    Labelled,
    Sections,
    cascade_sections,
    crowd_sections,
    prompt_sections,
)
from pointsman.evaluation.vectors import vectors_of
from pointsman.loadgen.recordings import InvalidRecordings, Recording, read_recordings

MMLU_FILE = "routellm_mmlu.jsonl.gz"
_MMLU_MODELS = ("mixtral-8x7b", "gpt-4-1106")

_BESIDE: Sequence[tuple[str, str, str]] = (
    ("pointsman.evaluation.intents", "intents_report", "intents and out of scope"),
    ("pointsman.evaluation.loops", "loops_report", "loop guard"),
    (
        "pointsman.evaluation.pipeline_section",
        "pipeline_rows",
        "pipeline against offline twin, a sample",
    ),
)
"""Rows that other modules measure: module, its function of two folders, and their title."""


def routing_report(train: Path, test: Path) -> tuple[Sections, list[str]]:
    """Return the report's sections and notes. Files that are missing are named in the notes."""
    notes = [_how(train, test), _prices()]
    sections: Sections = {}
    for found, said in (_recorded(train, test), _mmlu(train, test)):
        sections |= found
        notes += said
    for module, function, title in _BESIDE:
        try:
            report: Callable[[Path, Path], list[Row]] = getattr(import_module(module), function)
        except ModuleNotFoundError:
            notes.append(f"{title}: not measured, {module} is absent")
            continue
        try:
            sections[title] = report(train, test)
        except FileNotFoundError as error:
            notes.append(f"{title}: not measured, {error.filename} is absent")
    return sections, notes


def _recorded(train: Path, test: Path) -> tuple[Sections, list[str]]:
    missing = _missing(train, test, FILE)
    if missing:
        return {}, missing
    rows, split = _recordings(train, test)
    reader = Reader()
    notes = _nulls(rows)
    sections: Sections = {}
    heads: dict[Cascade, Callable[[Table, Split], Sections]] = {
        REASON: lambda table, within: reason_sections(table, within, _requests(table.prompts)),
        LLAMA: cascade_sections,
        CROWD: crowd_sections,
    }
    for cascade, measured in heads.items():
        table, within = _within(reader, rows, split, cascade)
        if len(within.train) < 200 or not len(within.test):
            notes.append(f"{cascade}: not measured, too few rows hold all of its models")
            continue
        if len(table) < len(rows):
            notes.append(f"{cascade}: {len(rows) - len(table)} rows lack a model and are left out")
        sections |= measured(table, within)
        if cascade is LLAMA:
            sections["CPU per request, beyond the shared vector"] = cost_rows(
                table, within, rows, _requests(table.prompts)
            )
    return sections, notes


def _recordings(train: Path, test: Path) -> tuple[list[Recording], Split]:
    """Both folders' rows, one after the other; once where they are the same folder."""
    rows = list(read_recordings(train / FILE).rows)
    if train.resolve() == test.resolve():
        every = np.arange(len(rows))
        return rows, Split(train=every, test=every)
    tested = read_recordings(test / FILE).rows
    count = len(rows)
    # Another folder's row may bear the same id.
    rows += [row.model_copy(update={"id": f"test:{row.id}"}) for row in tested]
    return rows, Split(train=np.arange(count), test=np.arange(count, len(rows)))


def _within(
    reader: Reader, rows: Sequence[Recording], split: Split, cascade: Cascade
) -> tuple[Table, Split]:
    """The rows that hold the cascade's models, and the split among them."""
    held = np.array([set(cascade.models) <= set(row.answers) for row in rows])
    place = np.cumsum(held) - 1
    return reader.table(rows, cascade), Split(
        train=place[split.train[held[split.train]]], test=place[split.test[held[split.test]]]
    )


def _mmlu(train: Path, test: Path) -> tuple[Sections, list[str]]:
    missing = _missing(train, test, MMLU_FILE)
    if missing:
        return {}, missing
    rows = _lines(train / MMLU_FILE)
    every = np.arange(len(rows))
    split = Split(train=every, test=every)
    if train.resolve() != test.resolve():
        rows += _lines(test / MMLU_FILE)
        split = Split(train=every, test=np.arange(len(every), len(rows)))
    weak, strong = (np.array([bool(row[model]) for row in rows]) for model in _MMLU_MODELS)
    labelled = Labelled(
        requests=_requests(tuple(str(row["prompt"]) for row in rows)),
        weak=weak,
        strong=strong,
        groups=tuple(str(row["subject"]) for row in rows),
    )
    null = sum(row[model] is None for row in rows for model in _MMLU_MODELS)
    notes = [f"{MMLU_FILE}: {null} null answers, counted wrong"]
    return prompt_sections(labelled, split, models=" -> ".join(_MMLU_MODELS)), notes


def _requests(texts: tuple[str, ...]) -> Requests:
    return read_requests(texts, vectors_of(texts))


def _lines(path: Path) -> list[dict[str, Any]]:
    with gzip.open(path, "rt") as lines:
        return [json.loads(line) for line in lines if line.strip()]


def _missing(train: Path, test: Path, name: str) -> list[str]:
    absent = [str(folder) for folder in (train, test) if not (folder / name).is_file()]
    return [f"{name}: not measured, absent in {' and '.join(absent)}"] if absent else []


def _nulls(rows: Sequence[Recording]) -> list[str]:
    counts = Counter(
        model for row in rows for model, answer in row.answers.items() if answer.extracted is None
    )
    shown = ", ".join(f"{model} {count}" for model, count in sorted(counts.items())) or "none"
    return [f"{FILE}: {len(rows)} rows; answers without a letter, counted wrong: {shown}"]


def _how(train: Path, test: Path) -> str:
    if train.resolve() == test.resolve():
        return "--train and --test are one folder: every figure is by cross-validation"
    return "learned and thresholded on --train alone, measured on --test"


def _prices() -> str:
    shown = ", ".join(f"{model} {into:g}/{out:g}" for model, (into, out) in PRICES.items())
    cut = "runaway answers are cut and paid so far, but not where a strong model alone is asked"
    return f"prices, USD per million tokens in/out: {shown}; {cut}"


@click.command()
@click.option(
    "--train", type=click.Path(exists=True, file_okay=False, path_type=Path), required=True
)
@click.option(
    "--test", type=click.Path(exists=True, file_okay=False, path_type=Path), required=True
)
@click.option(
    "--json", "out", type=click.Path(path_type=Path), default=None, help="Write here too."
)
def main(train: Path, test: Path, out: Path | None) -> None:
    """Print how well models are chosen; learn from one folder, measure on the other."""
    begun = time.process_time()
    try:
        sections, notes = routing_report(train, test)
    except InvalidRecordings as error:
        raise click.ClickException(str(error)) from error
    notes.append(f"CPU {time.process_time() - begun:.0f} s")
    print_report(sections, notes=notes)
    if out is not None:
        write_report(out, sections, notes=notes)


if __name__ == "__main__":
    main()
