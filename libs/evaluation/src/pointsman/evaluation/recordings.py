"""Recorded answers as columns: what a cascade would have seen, paid and been right about.

Owns the prices, the cascades that are measured, and cutting runaway answers as the executor does.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from pointsman.evaluation.figures import Floats, Truths
from pointsman.executor.domain.loops import LoopGuard
from pointsman.judge.domain.acceptance import Sibling, inputs_of
from pointsman.judge.domain.agreement import Agreement, agreement_of
from pointsman.judge.domain.answer_signs import AnswerSigns, answer_signs
from pointsman.loadgen.recordings import RecordedAnswer, Recording
from pointsman.scorers.trees import Inputs

FILE = "replay.jsonl.gz"

PRICES: Mapping[str, tuple[float, float]] = {
    # USD per million tokens, in and out. List prices: OpenAI (gpt-4o, August 2024), Google (Gemini
    # 1.5 Pro 002, to 128k), Groq (Llama 3 8B, April 2024; Llama 3.1 8B, July 2024), Azure (Phi-3
    # mini, May 2024). The demo's registry prices an 8B of one's own 16 times as high.
    "gpt-4o": (2.5, 10.0),
    "gemini-1.5-pro-002": (1.25, 5.0),
    "llama-3-8b-instruct": (0.05, 0.10),
    "llama-3.1-8b-instruct": (0.05, 0.08),
    "phi-3-mini-4k": (0.13, 0.52),
}
_PIECE = 32
"""Characters the loop guard is fed at once; a stream comes in about this many or fewer."""


@dataclass(frozen=True, kw_only=True)
class Cascade:
    """A small model, the cheap siblings that are always asked beside it, and the strong model."""

    weak: str
    siblings: tuple[str, ...]
    strong: str

    @property
    def models(self) -> tuple[str, ...]:
        return (self.weak, *self.siblings, self.strong)

    def __str__(self) -> str:
        beside = "".join(f" + {name}" for name in self.siblings)
        return f"{self.weak}{beside} -> {self.strong}"


LLAMA = Cascade(weak="llama-3-8b-instruct", siblings=("llama-3.1-8b-instruct",), strong="gpt-4o")
CROWD = Cascade(
    weak="llama-3-8b-instruct",
    siblings=("llama-3.1-8b-instruct", "phi-3-mini-4k"),
    strong="gpt-4o",
)
REASON = Cascade(weak="gemini-1.5-pro-002", siblings=(), strong="gpt-4o")


@dataclass(frozen=True, kw_only=True)
class Table:
    """What a cascade would have met, a row a request.

    Shapes: all (n,), inputs, after and after_sibling (n, inputs). Tokens are of answers, with
    runaway ones cut; dollars count the prompt too. ``small`` sums the weak model and the siblings.
    ``sibling`` is the first, or the weak model itself. ``after`` is what is seen once the strong
    model has answered too, the weak answer beside it first, or the sibling's. ``always`` is the
    strong model alone, without a router: nobody cuts its answers.
    """

    cascade: Cascade
    ids: tuple[str, ...]
    prompts: tuple[str, ...]
    categories: tuple[str, ...]
    inputs: Inputs
    after: Inputs
    after_sibling: Inputs
    weak: Truths
    sibling: Truths
    strong: Truths
    small_tokens: Floats
    strong_tokens: Floats
    prompt_tokens: Floats
    small_dollars: Floats
    strong_dollars: Floats
    always_tokens: Floats
    always_dollars: Floats

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True, kw_only=True)
class Answer:
    """A recorded answer as it would have arrived: cut where it runs away."""

    text: str
    tokens: float
    signs: AnswerSigns


@dataclass(frozen=True)
class Reader:
    """Reads each recorded answer once, for all cascades."""

    _answers: dict[tuple[str, str], Answer] = field(default_factory=dict[tuple[str, str], Answer])
    # By identity: answers are kept above as long as the reader is.
    _agreements: dict[tuple[int, int], Agreement] = field(
        default_factory=dict[tuple[int, int], Agreement]
    )

    def answer(self, row: Recording, model: str) -> Answer:
        key = row.id, model
        if key not in self._answers:
            text, tokens = until_loop(row.answers[model])
            self._answers[key] = Answer(
                text=text, tokens=tokens, signs=answer_signs(row.prompt, text)
            )
        return self._answers[key]

    def inputs(self, row: Recording, cascade: Cascade) -> Inputs:
        """Return what the acceptance scorer sees before the strong model is called."""
        first = self.answer(row, cascade.weak)
        others = [self.answer(row, model) for model in cascade.siblings]
        siblings = [
            Sibling(signs=other.signs, agreement=self._agreement(first, other)) for other in others
        ]
        between = self._agreement(others[0], others[1]) if len(others) > 1 else None
        return inputs_of(first.signs, *siblings, between=between)

    def inputs_after(self, row: Recording, cascade: Cascade, *, sibling_first: bool) -> Inputs:
        """Return what is seen of the strong answer beside the weak one and the first sibling's."""
        strong = self.answer(row, cascade.strong)
        smalls = (cascade.weak, *cascade.siblings[:1])
        others = [self.answer(row, model) for model in (smalls[::-1] if sibling_first else smalls)]
        return inputs_of(
            strong.signs,
            *(
                Sibling(signs=other.signs, agreement=self._agreement(strong, other))
                for other in others
            ),
            between=self._agreement(others[0], others[1]) if len(others) > 1 else None,
        )

    def table(self, rows: Sequence[Recording], cascade: Cascade) -> Table:
        """Return the rows that hold an answer of every model, as columns."""
        held = [row for row in rows if set(cascade.models) <= set(row.answers)]
        cheap = (cascade.weak, *cascade.siblings)
        sibling = cascade.siblings[0] if cascade.siblings else cascade.weak
        return Table(
            cascade=cascade,
            ids=tuple(row.id for row in held),
            prompts=tuple(row.prompt for row in held),
            categories=tuple(row.category for row in held),
            inputs=np.array([self.inputs(row, cascade) for row in held], np.float32),
            after=self._after(held, cascade, sibling_first=False),
            after_sibling=self._after(held, cascade, sibling_first=True),
            weak=_correct(held, cascade.weak),
            sibling=_correct(held, sibling),
            strong=_correct(held, cascade.strong),
            small_tokens=_floats([self._tokens(row, cheap) for row in held]),
            strong_tokens=_floats([self._tokens(row, (cascade.strong,)) for row in held]),
            prompt_tokens=_floats([row.prompt_tokens for row in held]),
            small_dollars=_floats([self.dollars(row, cheap) for row in held]),
            strong_dollars=_floats([self.dollars(row, (cascade.strong,)) for row in held]),
            always_tokens=_floats([row.answers[cascade.strong].output_tokens for row in held]),
            always_dollars=_floats([always_dollars(row, cascade.strong) for row in held]),
        )

    def dollars(self, row: Recording, models: Sequence[str]) -> float:
        """Return what asking ``models`` costs, runaway answers cut."""
        return sum(
            price(model, row.prompt_tokens, self.answer(row, model).tokens) for model in models
        )

    def _agreement(self, one: Answer, other: Answer) -> Agreement:
        # Cascades share most pairs, and comparing is symmetric.
        key = (id(one), id(other)) if id(one) < id(other) else (id(other), id(one))
        if key not in self._agreements:
            self._agreements[key] = agreement_of(one.text, other.text)
        return self._agreements[key]

    def _after(self, rows: Sequence[Recording], cascade: Cascade, *, sibling_first: bool) -> Inputs:
        found = [self.inputs_after(row, cascade, sibling_first=sibling_first) for row in rows]
        return np.array(found, np.float32)

    def _tokens(self, row: Recording, models: Sequence[str]) -> float:
        return sum(self.answer(row, model).tokens for model in models)


def price(model: str, input_tokens: float, output_tokens: float) -> float:
    """Return the USD that a call costs."""
    into, out = PRICES[model]
    return (into * input_tokens + out * output_tokens) / 1e6


def always_dollars(row: Recording, model: str) -> float:
    """Return the USD of asking ``model`` alone, its answer paid whole."""
    return price(model, row.prompt_tokens, row.answers[model].output_tokens)


def until_loop(answer: RecordedAnswer) -> tuple[str, float]:
    """Return the answer's text up to where the loop guard stops it, and its share of the tokens."""
    guard = LoopGuard()
    for start in range(0, len(answer.text), _PIECE):
        if guard.feed(answer.text[start : start + _PIECE]):
            kept = answer.text[: start + _PIECE]
            return kept, answer.output_tokens * len(kept) / len(answer.text)
    return answer.text, float(answer.output_tokens)


def _correct(rows: Sequence[Recording], model: str) -> Truths:
    return np.array([row.answers[model].correct for row in rows], np.bool_)


def _floats(values: Sequence[float]) -> Floats:
    return np.array(values, np.float64)
