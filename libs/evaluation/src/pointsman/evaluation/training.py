"""``task train:routing``: fits every shipped head; gain and acceptance here, with their cards.

Owns which data these two learn from. The same seed and data give the same files, byte for byte.
"""

import gzip
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np
from sklearn.linear_model import LogisticRegression

import pointsman.classifier
import pointsman.judge
from pointsman.classifier.domain.gain import Gain, GainEstimate
from pointsman.evaluation.figures import Floats, Indices, Truths, auroc, calibration_error
from pointsman.evaluation.intents_fit import fit_intents
from pointsman.evaluation.judging_support import fit_support
from pointsman.evaluation.recordings import FILE, LLAMA, Reader
from pointsman.evaluation.routing_folds import FOLDS, SEED
from pointsman.evaluation.routing_gain import Requests, fitted_gain, read_requests
from pointsman.evaluation.routing_trees import grown_classifier, grown_regressor
from pointsman.evaluation.training_cards import acceptance_card, gain_card
from pointsman.evaluation.vectors import vectors_of
from pointsman.judge.domain.acceptance import Acceptance, Sibling, inputs_of
from pointsman.judge.domain.agreement import agreement_of
from pointsman.judge.domain.answer_signs import answer_signs
from pointsman.loadgen.recordings import Recording, read_recordings
from pointsman.scorers.scorer_file import write_scorer
from pointsman.scorers.trees import Inputs, joined

_ANSWERING = (
    "llama-3-8b-instruct", "llama-3.1-8b-instruct", "phi-3-mini-4k", "gemini-1.5-pro-002", "gpt-4o",
)  # fmt: skip
"""Whose answers acceptance learns from: it does not know who answered."""
_CHAT_SET = "halueval_general"


class NothingToLearn(ValueError):
    """The folder holds none of the files that are learned from, or too little of one."""


@dataclass(frozen=True, kw_only=True)
class Asked:
    """Requests, and what a small and a strong model made of them. Shapes: weak, strong (n,)."""

    requests: Requests
    weak: Truths
    strong: Truths
    sources: dict[str, int]


@dataclass(frozen=True, kw_only=True)
class Answered:
    """Answers to requests. ``request`` numbers the row of ``Asked``.

    Shapes: all (n,), inputs (n, inputs). ``has_sibling`` and ``has_stronger`` say where the other
    labels mean something.
    """

    inputs: Inputs
    request: Indices
    acceptable: Truths
    sibling: Truths
    has_sibling: Truths
    stronger: Truths
    has_stronger: Truths
    tokens: Floats


def train(data: Path, *, classifier: Path, judge: Path) -> dict[str, float]:
    """Fit every shipped head on ``data`` and write it; return the figures of the two scorers.

    Raises: NothingToLearn, InvalidRecordings; NothingToLearnFrom without labelled answers,
    FileNotFoundError without texts of known intents.
    """
    figures = train_scorers(data, classifier=classifier, judge=judge)
    fit_support(data, judge)
    fit_intents(data, classifier / "intents.npz")
    return figures


def train_scorers(data: Path, *, classifier: Path, judge: Path) -> dict[str, float]:
    """Fit gain and acceptance, write weights and cards to the two folders, return the figures.

    Raises: NothingToLearn, InvalidRecordings.
    """
    rows = read_recordings(data / FILE).rows if (data / FILE).is_file() else ()
    rows = tuple(row for row in rows if set(_ANSWERING) <= set(row.answers))
    chat = [row for row in _lines(data / "judge.jsonl.gz") if row["set"] == _CHAT_SET]
    if len(rows) < 200 or len(chat) < 200:
        raise NothingToLearn(f"{data}: {len(rows)} recordings, {len(chat)} chat rows; 200 of each")
    asked = _asked(rows, _lines(data / "routellm_mmlu.jsonl.gz"), chat)
    folds = _folds(len(asked.weak))
    expected = _out_of_fold_gain(asked, folds)
    gain = fitted_gain(asked.requests, asked.weak, asked.strong, np.arange(len(asked.weak)))
    answered = _answered(rows, chat, first_chat=len(asked.weak) - len(chat))
    log_odds = _out_of_fold_acceptance(answered, folds)
    acceptance = _finished(answered, log_odds, expected)
    figures = _figures(asked, answered, acceptance, log_odds, expected)
    write_scorer(classifier / "gain.npz", gain.arrays())
    write_scorer(judge / "acceptance.npz", acceptance.arrays())
    (classifier / "GAIN_CARD.md").write_text(gain_card(figures, asked.sources, SEED))
    (judge / "ACCEPTANCE_CARD.md").write_text(
        acceptance_card(figures, {FILE: len(rows), f"judge.jsonl.gz, {_CHAT_SET}": len(chat)}, SEED)
    )
    return figures


def _asked(
    rows: Sequence[Recording], mmlu: Sequence[dict[str, Any]], chat: Sequence[dict[str, Any]]
) -> Asked:
    texts = [row.prompt for row in rows]
    texts += [str(row["prompt"]) for row in mmlu] + [str(row["question"]) for row in chat]
    # One model answered the chat requests; that another would do better was not recorded, so the
    # head learns no gain from them.
    good = [row["label"] == 0 for row in chat]
    weak = [row.answers[LLAMA.weak].correct for row in rows]
    strong = [row.answers[LLAMA.strong].correct for row in rows]
    weak += [bool(row["mixtral-8x7b"]) for row in mmlu] + good
    strong += [bool(row["gpt-4-1106"]) for row in mmlu] + good
    return Asked(
        requests=read_requests(texts, vectors_of(texts)),
        weak=np.array(weak, np.bool_),
        strong=np.array(strong, np.bool_),
        sources={
            FILE: len(rows),
            "routellm_mmlu.jsonl.gz": len(mmlu),
            f"judge.jsonl.gz, {_CHAT_SET}": len(chat),
        },
    )


def _answered(
    rows: Sequence[Recording], chat: Sequence[dict[str, Any]], *, first_chat: int
) -> Answered:
    reader = Reader()
    inputs: list[Inputs] = []
    columns: list[tuple[int, bool, bool, bool, bool, bool, float]] = []
    for number, row in enumerate(rows):
        strong = row.answers[LLAMA.strong]
        tokens = float(strong.output_tokens)
        for model in _ANSWERING:
            inputs.append(inputs_of(reader.answer(row, model).signs))
            own = row.answers[model].correct
            is_weaker = model != LLAMA.strong
            columns.append((number, own, False, False, strong.correct, is_weaker, tokens))
        for model, other in ((LLAMA.weak, LLAMA.siblings[0]), (LLAMA.siblings[0], LLAMA.weak)):
            one, two = reader.answer(row, model), reader.answer(row, other)
            asked = Sibling(signs=two.signs, agreement=agreement_of(one.text, two.text))
            inputs.append(inputs_of(one.signs, asked))
            own, beside = row.answers[model].correct, row.answers[other].correct
            columns.append((number, own, beside, True, strong.correct, True, tokens))
    for number, row in enumerate(chat, first_chat):
        text = str(row["answer"])
        inputs.append(inputs_of(answer_signs(str(row["question"]), text)))
        good = row["label"] == 0
        columns.append((number, good, False, False, good, True, len(text) / 4))
    request, own, beside, asked_beside, stronger, is_weaker, tokens = zip(*columns, strict=True)
    return Answered(
        inputs=np.array(inputs, np.float32),
        request=np.array(request, np.intp),
        acceptable=np.array(own, np.bool_),
        sibling=np.array(beside, np.bool_),
        has_sibling=np.array(asked_beside, np.bool_),
        stronger=np.array(stronger, np.bool_),
        has_stronger=np.array(is_weaker, np.bool_),
        tokens=np.array(tokens, np.float64),
    )


def _folds(count: int) -> Indices:
    """Return each request's fold: all answers to a request are in one."""
    return np.random.default_rng(SEED).permutation(count) % FOLDS


def _out_of_fold_gain(asked: Asked, folds: Indices) -> list[GainEstimate]:
    heads: list[Gain] = [
        fitted_gain(asked.requests, asked.weak, asked.strong, np.flatnonzero(folds != fold))
        for fold in range(FOLDS)
    ]
    texts, vectors = asked.requests.texts, asked.requests.vectors
    return [heads[int(folds[row])].predict(vectors[row], texts[row]) for row in range(len(texts))]


def _out_of_fold_acceptance(answered: Answered, folds: Indices) -> Floats:
    found = np.zeros(len(answered.request))
    fold_of = folds[answered.request]
    for fold in range(FOLDS):
        known, held = np.flatnonzero(fold_of != fold), np.flatnonzero(fold_of == fold)
        grown = grown_classifier(answered.inputs[known], answered.acceptable[known], seed=SEED)
        trees = joined([grown])
        found[held] = [trees.sums(answered.inputs[row])[0] for row in held]
    return found


def _finished(answered: Answered, log_odds: Floats, expected: Sequence[GainEstimate]) -> Acceptance:
    """Grow the trees on everything, and fit the last step on out-of-fold log-odds."""
    beside, weaker = np.flatnonzero(answered.has_sibling), np.flatnonzero(answered.has_stronger)
    inputs = answered.inputs
    outputs = [
        grown_classifier(inputs, answered.acceptable, seed=SEED),
        grown_classifier(inputs[beside], answered.sibling[beside], seed=SEED),
        grown_classifier(inputs[weaker], answered.stronger[weaker], seed=SEED),
        grown_regressor(inputs[weaker], np.log1p(answered.tokens[weaker]), seed=SEED),
    ]
    with_gain = np.stack([log_odds, _expected_log_odds(answered, expected)], axis=1)
    return Acceptance(
        trees=joined(outputs),
        alone=_last_step(log_odds[:, None], answered.acceptable),
        with_gain=_last_step(with_gain, answered.acceptable),
    )


def _expected_log_odds(answered: Answered, expected: Sequence[GainEstimate]) -> Floats:
    weak = np.clip([estimate.weak for estimate in expected], 0.001, 0.999)
    return np.log(weak / (1 - weak))[answered.request]


def _last_step(inputs: Floats, truth: Truths) -> Floats:
    model: Any = LogisticRegression(C=1.0)
    model.fit(inputs, truth)
    return np.concatenate([model.intercept_, model.coef_[0]])


def _figures(
    asked: Asked,
    answered: Answered,
    acceptance: Acceptance,
    log_odds: Floats,
    expected: Sequence[GainEstimate],
) -> dict[str, float]:
    """Out-of-fold figures of what is shipped; the last step alone has seen these rows."""
    weak = np.array([estimate.weak for estimate in expected])
    alone = _logistic(acceptance.alone[0] + acceptance.alone[1] * log_odds)
    columns = np.stack(
        [np.ones(len(log_odds)), log_odds, _expected_log_odds(answered, expected)], axis=1
    )
    with_gain = _logistic(columns @ acceptance.with_gain)
    truth = answered.acceptable
    is_chat = answered.inputs[:, 2] == 0
    return {
        "gain_auroc_weak": auroc(weak, asked.weak),
        "gain_ece_weak": calibration_error(weak, asked.weak),
        "acceptance_auroc": auroc(alone, truth),
        "acceptance_ece": calibration_error(alone, truth),
        "acceptance_auroc_with_gain": auroc(with_gain, truth),
        "acceptance_ece_with_gain": calibration_error(with_gain, truth),
        "acceptance_auroc_sibling": auroc(alone[answered.has_sibling], truth[answered.has_sibling]),
        "acceptance_ece_sibling": calibration_error(
            alone[answered.has_sibling], truth[answered.has_sibling]
        ),
        "acceptance_mean_without_options": float(alone[is_chat].mean()),
        "share_acceptable_without_options": float(truth[is_chat].mean()),
    }


def _logistic(log_odds: Floats) -> Floats:
    return 1 / (1 + np.exp(-log_odds))


def _lines(path: Path) -> list[dict[str, Any]]:
    if not path.is_file():
        return []
    with gzip.open(path, "rt") as lines:
        return [json.loads(line) for line in lines if line.strip()]


def _weights_of(package: Any) -> Path:
    return Path(str(package.__file__)).parent / "weights"


@click.command()
@click.option(
    "--data", type=click.Path(exists=True, file_okay=False, path_type=Path), required=True
)
@click.option("--out", type=click.Path(path_type=Path), default=None,
              help="Write here, in place of the two services' own folders.")  # fmt: skip
def main(data: Path, out: Path | None) -> None:
    """Train every shipped head and write it; gain, acceptance and support with model cards."""
    try:
        figures = train(
            data,
            classifier=out or _weights_of(pointsman.classifier),
            judge=out or _weights_of(pointsman.judge),
        )
    except (ValueError, FileNotFoundError) as error:
        raise click.ClickException(str(error)) from error
    for name, value in figures.items():
        click.echo(f"{name:36} {value:.4f}")


if __name__ == "__main__":
    main()
