"""The labelled answers of judge.jsonl.gz and the recorded ones of replay.jsonl.gz, as read.

Owns reading and the commands that the pipeline would send for a row. Files of one folder belong
together; one that is absent is an empty list.
"""

import gzip
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from pointsman.contracts.chat import Answer, ChatRequest, Message
from pointsman.contracts.messages import Judge
from pointsman.contracts.parts import Evaluator, RequestContext, RouteDecision, Signals

JUDGE_FILE: Final = "judge.jsonl.gz"
REPLAY_FILE: Final = "replay.jsonl.gz"
NON_COMMERCIAL: Final = "felm_"
"""Sets whose name begins so are CC BY-NC-SA: measured, never learned from."""
MIN_SCORE: Final = 8.0

_NOW = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, kw_only=True)
class LabelledAnswer:
    """One row of judge.jsonl.gz. ``is_bad``: hallucinated, wrong or not fully attributable."""

    set: str
    context: str
    question: str
    answer: str
    is_bad: bool

    @property
    def group(self) -> str:
        """What must not be on both sides of a split: answers to one question."""
        return f"{self.context}\n{self.question}"


@dataclass(frozen=True, kw_only=True)
class RecordedAnswer:
    """One model's answer of replay.jsonl.gz. ``extracted`` is the recorded letter, if any."""

    model: str
    category: str
    prompt: str
    text: str
    extracted: str | None
    is_correct: bool
    output_tokens: int


def read_labelled(folder: Path) -> list[LabelledAnswer]:
    return [
        LabelledAnswer(
            set=row["set"],
            context=row["context"] or "",
            question=row["question"],
            answer=row["answer"] or "",
            is_bad=bool(row["label"]),
        )
        for row in _rows(folder / JUDGE_FILE)
    ]


def read_recorded(folder: Path) -> list[RecordedAnswer]:
    """Return every model's answers; a null text is an empty one, and wrong."""
    return [
        RecordedAnswer(
            model=model,
            category=row["category"],
            prompt=row["prompt"],
            text=answer["text"] or "",
            extracted=answer["extracted"],
            is_correct=bool(answer["correct"]) and bool(answer["text"]),
            output_tokens=answer["output_tokens"] or 0,
        )
        for row in _rows(folder / REPLAY_FILE)
        for model, answer in row["answers"].items()
    ]


def command_for(question: str, answer: str, context: str = "") -> Judge:
    """Return the command that the pipeline would send for one recorded answer."""
    text = (
        f"Answer according to this text.\nContext: {context}\n\n{question}" if context else question
    )
    return Judge(
        context=RequestContext(
            request_id="00000000-0000-0000-0000-000000000000",
            namespace="evaluation",
            ingress="none",
            accepted_at=_NOW,
            deadline=_NOW,
        ),
        request=ChatRequest(model="auto", messages=(Message(role="user", content=text),)),
        signals=Signals(
            intent="simple", domain="general", complexity=0.5, urgency="normal", safety="safe"
        ),
        decision=RouteDecision(
            route="evaluation",
            revision="none",
            target="recorded",
            model="recorded",
            reason="evaluation",
            evaluator=Evaluator(min_score=MIN_SCORE),
        ),
        model="recorded",
        answer=Answer(text=answer),
    )


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    if not path.is_file():
        return
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line)
