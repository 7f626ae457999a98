"""How well the classifier's learned signals do: the rows of ``task eval:routing`` on intents.

Owns what is measured on CLINC150, BANKING77, NLU++ and the bug reports. Everything learned comes
from the train folder. Where it is the test folder as well, the head is trained on the part that is
marked ``train`` and measured on the rest, and the rows say so.
"""

import sys
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsRestClassifier

from pointsman.classifier.domain.features import urgency
from pointsman.evaluation.figures import Row, auroc, interval
from pointsman.evaluation.intents_cost import signal_cost_ms
from pointsman.evaluation.intents_data import (
    BANKING,
    CLINC,
    NLUPP,
    NONE,
    URGENCY,
    Texts,
    labelled,
    rows_of,
)
from pointsman.evaluation.intents_fit import SEED, trained
from pointsman.evaluation.vectors import vectors_of
from pointsman.scorers.intent_file import read_intents, write_intents
from pointsman.scorers.intents import IntentHead, TopicSet

_SAME: Final = "train part to the rest: one folder was given for both"
_URGENCY_SCORES: Final = {"low": 0.0, "normal": 0.5, "high": 1.0}


def intents_report(train: Path, test: Path) -> list[Row]:
    """Return the figures of the learned signals. A file that is missing is named and left out."""
    is_same = train.resolve() == test.resolve()
    note = _SAME if is_same else ""
    try:
        head = as_shipped(trained(train, every_row=not is_same))
    except FileNotFoundError as error:
        _say(f"intents: {error}; not measured")
        return []
    rows: list[Row] = []
    for name, measure in ((CLINC, _clinc_rows), (BANKING, _banking_rows)):
        texts = labelled(test, name)
        known = next((one for one in head.sets if texts and _is_of(one, texts)), None)
        if texts is None or known is None:
            _say(f"intents: no {name}.jsonl.gz in {test} or {train}; not measured")
            continue
        rows += measure(head, known, texts.where(~texts.is_train) if is_same else texts, note)
    rows += _several_rows(head, train, test)
    rows += _urgency_rows(test)
    rows += _novelty_rows(head, test)
    rows += _cost_rows(head, test)
    return rows


def as_shipped(head: IntentHead) -> IntentHead:
    """Return the head as its file holds it, so that nothing finer is measured than is shipped."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "intents.npz"
        write_intents(path, head)
        return read_intents(path)


def _is_of(known: TopicSet, texts: Texts) -> bool:
    """Whether a set's topics are what most of the texts are labelled with."""
    labels = texts.intents[texts.intents != NONE]
    return bool(len(labels)) and float(np.isin(labels, known.topics).mean()) > 0.5


def _right(known: TopicSet, scores: NDArray[np.float32], texts: Texts) -> NDArray[np.bool_]:
    return np.array(known.topics)[scores.argmax(axis=1)] == texts.intents


def _clinc_rows(head: IntentHead, known: TopicSet, texts: Texts, note: str) -> list[Row]:
    scores, doubts = known.scores(head.inputs(texts.vectors, texts.texts))
    is_known = texts.intents != NONE
    right = _right(known, scores, texts)[is_known]
    by_domain = np.exp(scores) @ np.eye(len(known.domains))[known.domain_of]
    domains = np.array(known.domains)[by_domain.argmax(axis=1)]
    in_domain = (domains == texts.domains)[is_known]
    doubt = known.out_of_scope(doubts).astype(np.float64)
    low, high = interval(lambda rows: auroc(doubt[rows], ~is_known[rows]), len(doubt))
    return [
        _share("CLINC150 accuracy", right, goal=96.0, moonshot=97.0, baseline=95.3, note=note),
        Row(
            name="CLINC150 out-of-scope AUROC", value=auroc(doubt, ~is_known), low=low, high=high,
            goal=0.98, moonshot=0.985, baseline=0.972,
            note=f"{int((~is_known).sum())} out of scope; {note}".removesuffix("; "),
        ),
        _share("CLINC150 domain accuracy (10)", in_domain, note=note),
    ]  # fmt: skip


def _banking_rows(head: IntentHead, known: TopicSet, texts: Texts, note: str) -> list[Row]:
    scores, _ = known.scores(head.inputs(texts.vectors, texts.texts))
    right = _right(known, scores, texts)
    return [_share("BANKING77 accuracy", right, goal=93.5, moonshot=94.0, baseline=93.2, note=note)]


def _share(
    name: str,
    right: NDArray[np.bool_],
    *,
    goal: float | None = None,
    moonshot: float | None = None,
    baseline: float | None = None,
    note: str = "",
) -> Row:
    low, high = interval(lambda rows: 100 * float(right[rows].mean()), len(right))
    return Row(
        name=name, value=100 * float(right.mean()), low=low, high=high,
        goal=goal, moonshot=moonshot, baseline=baseline, unit="%", note=note,
    )  # fmt: skip


def _several_rows(head: IntentHead, train: Path, test: Path) -> list[Row]:
    """NLU++, where a text has several intents: lines over what the head reads. Not shipped."""
    ours, theirs = rows_of(train, NLUPP), rows_of(test, NLUPP)
    note = "information; these lines are not shipped"
    if train.resolve() == test.resolve():
        held = np.random.default_rng(SEED).random(len(ours)) < 0.2
        theirs = [row for row, is_held in zip(ours, held, strict=True) if is_held]
        ours = [row for row, is_held in zip(ours, held, strict=True) if not is_held]
        note += "; a fifth held out"
    if not ours or not theirs:
        _say(f"intents: no {NLUPP}.jsonl.gz in {test} or {train}; not measured")
        return []
    names = sorted({intent for row in ours for intent in row["intents"]})
    wanted = _table(theirs, names)
    lines: Any = OneVsRestClassifier(LogisticRegression(C=0.02, max_iter=300))
    lines.fit(_inputs(head, ours), _table(ours, names))
    found = np.asarray(lines.predict_proba(_inputs(head, theirs))) >= 0.35
    # An intent that was never seen in training is missed, and counts.
    unseen = np.array([len(set(row["intents"]) - set(names)) for row in theirs])

    def f1(rows: NDArray[np.intp]) -> float:
        hits = float((found[rows] & wanted[rows]).sum())
        return 200 * hits / float(found[rows].sum() + wanted[rows].sum() + unseen[rows].sum())

    low, high = interval(f1, len(theirs))
    value = f1(np.arange(len(theirs)))
    return [Row(name="NLU++ micro-F1", value=value, low=low, high=high, unit="%", note=note)]


def _inputs(head: IntentHead, rows: Sequence[Any]) -> NDArray[np.float32]:
    texts = [str(row["text"]) for row in rows]
    return head.inputs(vectors_of(texts), texts)


def _table(rows: Sequence[Any], names: Sequence[str]) -> NDArray[np.bool_]:
    return np.array([[name in row["intents"] for name in names] for row in rows])


def _urgency_rows(test: Path) -> list[Row]:
    rows = rows_of(test, URGENCY)
    if not rows:
        _say(f"intents: no {URGENCY}.jsonl.gz in {test}; not measured")
        return []
    score = np.array([_URGENCY_SCORES[urgency(str(row["text"])[:8_000])[0]] for row in rows])
    truth = np.array([row["label"] == 1 for row in rows])
    low, high = interval(lambda drawn: auroc(score[drawn], truth[drawn]), len(rows))
    note = "information: words of a request against the priority of a bug"
    return [
        Row(name="urgency AUROC, bugs", value=auroc(score, truth), low=low, high=high, note=note)
    ]


def _novelty_rows(head: IntentHead, test: Path) -> list[Row]:
    """Bug reports, a kind of text that no head learned from, against kinds that are known."""
    strange = [str(row["text"]) for row in _some(rows_of(test, URGENCY))]
    known = [str(row["prompt"]) for row in _some(rows_of(test, "replay"))]
    if not strange or not known:
        return []
    vectors = vectors_of([*strange, *known])
    distance = -(vectors @ head.landmarks.T).max(axis=1).astype(np.float64)
    is_strange = np.arange(len(vectors)) < len(strange)
    low, high = interval(lambda rows: auroc(distance[rows], is_strange[rows]), len(vectors))
    note = "information: bug reports against exam questions; by landmarks alone"
    value = auroc(distance, is_strange)
    return [Row(name="novelty AUROC, bugs", value=value, low=low, high=high, note=note)]


def _some(rows: Sequence[Any]) -> Sequence[Any]:
    """Return about 400 rows, evenly spread: long texts take a while to embed."""
    return rows[:: max(1, len(rows) // 400)]


def _cost_rows(head: IntentHead, test: Path) -> list[Row]:
    costs = signal_cost_ms(head, test)
    if not costs:
        _say(f"intents: no prompts in {test}; the cost was not measured")
        return []
    low, high = np.percentile(costs, [2.5, 97.5]).tolist()
    return [
        Row(
            name="CPU per request, all signals beyond the vector", value=median(costs),
            low=low, high=high, goal=1.0, moonshot=0.3, unit="ms", better="lower",
            note=f"median and range of {len(costs)} prompts; vector at hand",
        )
    ]  # fmt: skip


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")


def main() -> None:
    """Print the rows: ``python -m pointsman.evaluation.intents TRAIN TEST``."""
    started = time.process_time()
    for row in intents_report(Path(sys.argv[1]), Path(sys.argv[2])):
        reach = "" if row.low is None or row.high is None else f" ({row.low:.3f}..{row.high:.3f})"
        _say(f"{row.name:48} {row.value:.4f}{reach} {row.verdict} {row.note}".rstrip())
    _say(f"{time.process_time() - started:.0f} s of CPU")


if __name__ == "__main__":
    main()
