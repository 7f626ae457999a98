"""The loop guard on recorded answers: what it saves, and whether a recorded letter changes.

Owns the recorded extractors, written again from what they are known to do, and checked against
what was recorded. The guard's constants are the executor's; nothing is fitted here.
"""

import re
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from pointsman.evaluation.figures import Row, interval
from pointsman.evaluation.judging_data import RecordedAnswer, read_recorded
from pointsman.executor.domain.loops import RUN_CHARS, LoopGuard

PIECE_CHARS: Final = 5
"""About a token, as a stream brings them."""
GOAL_MODEL: Final = "llama-3-8b-instruct"
COST_ANSWERS: Final = 200

_STATED: Final = re.compile(r"answer is \(?([A-J])\)?")
_HEADED: Final = re.compile(r"[aA]nswer:\s*([A-J])")
_LETTER: Final = re.compile(r"\b[A-J]\b")

Extractor = Callable[[str], str | None]


def stated(text: str) -> str | None:
    """Return the letter of the first "answer is (X)"."""
    match = _STATED.search(text)
    return match[1] if match else None


def headed(text: str) -> str | None:
    """Return the letter of the last "Answer: X" of the first line that has one."""
    first = _HEADED.search(text)
    if first is None:
        return None
    end = text.find("\n", first.start())
    line = [m for m in _HEADED.finditer(text, first.start()) if end < 0 or m.start() < end]
    return line[-1][1]


def last_letter(text: str) -> str | None:
    """Return the last capital that stands alone."""
    found = _LETTER.findall(text)
    return found[-1] if found else None


EXTRACTORS: Final[Mapping[str, Extractor]] = {
    "stated": stated,
    "stated or headed": lambda text: stated(text) or headed(text),
    "stated, headed or last": lambda text: stated(text) or headed(text) or last_letter(text),
}
"""The three ways in which MMLU-Pro's answers were read; a model's recordings were read in one."""


@dataclass(frozen=True, kw_only=True)
class Guarded:
    """One recorded answer and how much of it the guard lets through."""

    answer: RecordedAnswer
    kept: str

    @property
    def is_stopped(self) -> bool:
        return len(self.kept) < len(self.answer.text)

    @property
    def tokens_saved(self) -> float:
        """Estimated: the cut share of the characters, times the recorded tokens."""
        size = len(self.answer.text)
        return self.answer.output_tokens * (1 - len(self.kept) / size) if size else 0.0


def loops_report(train: Path, test: Path) -> list[Row]:
    """Return rows of what the guard does to every model's answers in ``test``.

    ``train`` chooses the extractor that a model's recordings were read with.
    """
    known = extractors_of(read_recorded(train))
    by_model: dict[str, list[RecordedAnswer]] = defaultdict(list)
    for answer in read_recorded(test):
        by_model[answer.model].append(answer)
    rows = [
        row
        for model, answers in sorted(by_model.items(), key=lambda item: item[0] != GOAL_MODEL)
        for row in _model_rows(model, answers, known.get(model, "stated"))
    ]
    if by_model:
        every = [answer for answers in by_model.values() for answer in answers]
        rows.append(_cost_row(every))
    return rows


def extractors_of(answers: Sequence[RecordedAnswer]) -> dict[str, str]:
    """Return by model the name of the extractor that gives most of its recorded letters."""
    right: dict[str, dict[str, int]] = defaultdict(lambda: dict.fromkeys(EXTRACTORS, 0))
    for answer in answers:
        for name, extract in EXTRACTORS.items():
            right[answer.model][name] += extract(answer.text) == answer.extracted
    return {model: max(hits, key=hits.__getitem__) for model, hits in right.items()}


def guarded(answer: RecordedAnswer) -> Guarded:
    """Feed an answer to the guard as a stream would."""
    text = answer.text
    if len(text) <= RUN_CHARS:
        return Guarded(answer=answer, kept=text)
    guard = LoopGuard()
    for start in range(0, len(text), PIECE_CHARS):
        if guard.feed(text[start : start + PIECE_CHARS]):
            return Guarded(answer=answer, kept=text[: start + PIECE_CHARS])
    return Guarded(answer=answer, kept=text)


def _model_rows(model: str, answers: Sequence[RecordedAnswer], extractor: str) -> list[Row]:
    extract = EXTRACTORS[extractor]
    found = [guarded(answer) for answer in answers]
    stopped = [one for one in found if one.is_stopped]
    changed = sum(extract(one.kept) != extract(one.answer.text) for one in stopped)
    lost = sum(stated(one.kept) != stated(one.answer.text) for one in stopped)
    same = np.mean([extract(answer.text) == answer.extracted for answer in answers])
    saved = np.array([one.tokens_saved for one in found])
    tokens = np.array([answer.output_tokens for answer in answers])
    is_goal = model == GOAL_MODEL

    def share(rows: np.ndarray[tuple[int], np.dtype[np.intp]]) -> float:
        return 100 * float(saved[rows].sum() / max(1, tokens[rows].sum()))

    low, high = interval(share, len(found))
    return [
        Row(
            name=f"{model}: tokens saved",
            value=share(np.arange(len(found))),
            low=low,
            high=high,
            baseline=0.0 if is_goal else None,
            goal=45.0 if is_goal else None,
            moonshot=48.0 if is_goal else None,
            unit="%",
            note=f"{len(stopped)} of {len(found)} answers stopped",
        ),
        Row(
            name=f"{model}: letters changed",
            value=float(changed),
            goal=0.0 if is_goal else None,
            better="lower",
            note=f"{lost} of them stated in words; extractor '{extractor}' gives {same:.1%} of"
            " the recorded letters",
        ),
    ]


def _cost_row(answers: Sequence[RecordedAnswer]) -> Row:
    """CPU of the guard alone, on answers that are long enough to cost anything."""
    long = [answer for answer in answers if len(answer.text) > RUN_CHARS][:COST_ANSWERS]
    started = time.process_time()
    for answer in long:
        guarded(answer)
    spent = time.process_time() - started
    read = sum(len(guarded(answer).kept) for answer in long)
    return Row(
        name="CPU per 1,000 characters",
        value=spent / max(1, read) * 1e9,
        goal=1_000.0,
        unit="us",
        better="lower",
        note=f"pieces of {PIECE_CHARS} characters, answers of more than {RUN_CHARS} alone",
    )
