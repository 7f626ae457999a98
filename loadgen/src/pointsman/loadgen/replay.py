"""Replayed models: a recorded prompt in, the words that a real model once said to it out.

Owns what a replayed model declares of itself and how a recording becomes a turn. Invents nothing:
a prompt that was not recorded has no answer.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from pointsman.contracts.chat import ChatRequest, FinishReason
from pointsman.loadgen import tokens
from pointsman.loadgen.completion import Turn
from pointsman.loadgen.recordings import Recordings

TIME_TO_FIRST_TOKEN_S = 0.3
TOKENS_PER_S = 80.0
"""An assumption for every replayed model: the recordings hold no times."""


class RecordingNotFound(LookupError):
    """This model's answer to this prompt was not recorded."""

    def __init__(self, model: str) -> None:
        super().__init__(f"no answer of {model!r} to this prompt was recorded")
        self.model = model


@dataclass(frozen=True, kw_only=True)
class ReplayedModel:
    """What one replayed model declares. Its words are real, its pace is not.

    ``null_extractions`` counts answers in which the recorded extractor found none.
    """

    model: str
    source: str
    rows: int
    null_extractions: int
    empty_texts: int
    repeated_prompts: int
    time_to_first_token_s: float = TIME_TO_FIRST_TOKEN_S
    tokens_per_s: float = TOKENS_PER_S

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    def duration_s(self, tokens: int) -> float:
        """Return how long ``tokens`` take once the first one is there."""
        return tokens / self.tokens_per_s


def replayed_models(recordings: Recordings) -> Mapping[str, ReplayedModel]:
    """Return every model that the recordings name, by its name."""
    return {
        model: ReplayedModel(
            model=model,
            source=recordings.file,
            rows=recorded.answers,
            null_extractions=recorded.null_extractions,
            empty_texts=recorded.empty_texts,
            repeated_prompts=recordings.repeated_prompts,
        )
        for model, recorded in recordings.models.items()
    }


def replay(request: ChatRequest, recordings: Recordings, *, model: str) -> Turn:
    """Return what ``model`` said to the last user text of ``request``, letter by letter.

    Tokens of the prompt and the answer are the recorded ones; what the request holds beyond the
    prompt (a system text, tools) is counted on top. A limit of the request cuts the answer.
    Raises: RecordingNotFound.
    """
    recording = recordings.find(request.last_user_text)
    answer = recording and recording.answers.get(model)
    if recording is None or answer is None:
        raise RecordingNotFound(model)
    text, output_tokens = answer.text, answer.output_tokens
    finish_reason: FinishReason = "stop"
    limit = request.max_completion_tokens or request.max_tokens
    if limit is not None and output_tokens > limit:
        text = text[: len(text) * limit // output_tokens]
        output_tokens, finish_reason = limit, "length"
    digest = hashlib.blake2b(f"{model}\0{recording.id}".encode(), digest_size=12).hexdigest()
    return Turn(
        id=f"chatcmpl-{digest}",
        text=text,
        calls=(),
        finish_reason=finish_reason,
        input_tokens=recording.prompt_tokens + _beyond_prompt(request),
        output_tokens=output_tokens,
        reasoning_tokens=0,
        is_replayed=True,
    )


def _beyond_prompt(request: ChatRequest) -> int:
    """Tokens of everything but the last user text."""
    last = max(i for i, message in enumerate(request.messages) if message.role == "user")
    others = (*request.messages[:last], *request.messages[last + 1 :])
    return tokens.of_prompt(request.model_copy(update={"messages": others}))
