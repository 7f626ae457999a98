"""Reads one answer of a backend: chunks in, text, tool calls, finish reason and tokens out.

Owns the response side of the OpenAI format, streamed or whole. Performs no I/O.
Source: OpenAI API reference, chat completion chunk object.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from math import ceil
from typing import Annotated, Required

from pydantic import Field, TypeAdapter
from typing_extensions import TypedDict  # pydantic needs this one before Python 3.12

from pointsman.contracts.chat import FinishReason, FunctionCall, ToolCall

CHARS_PER_TOKEN = 4
"""The usual rule of thumb for English; used only where a backend sends no usage."""

MAX_TOOL_CALLS = 64
"""Calls in one answer. A model that writes more is looping."""

_FINISH_REASONS: dict[str, FinishReason] = {
    "stop": "stop",
    "length": "length",
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
    "content_filter": "content_filter",
}
_WRITTEN = ("content", "refusal", "reasoning", "reasoning_content", "tool_calls")
_FAILED_REASONS = frozenset({"abort", "error"})
"""vLLM's words for an answer that it gave up."""


class FunctionPiece(TypedDict, total=False):
    name: str | None
    arguments: str | None


class ToolCallPiece(TypedDict, total=False):
    """A fragment of a tool call. ``index`` says which call; some servers leave it out."""

    index: Annotated[int, Field(ge=0, lt=MAX_TOOL_CALLS)] | None
    id: str | None
    function: FunctionPiece | None


class Piece(TypedDict, total=False):
    """A ``delta`` of a stream, or the ``message`` of a whole answer."""

    content: str | None
    refusal: str | None
    reasoning: str | None
    reasoning_content: str | None
    tool_calls: Annotated[list[ToolCallPiece], Field(max_length=MAX_TOOL_CALLS)] | None


class Choice(TypedDict, total=False):
    delta: Piece | None
    message: Piece | None
    finish_reason: str | None


class TokenCount(TypedDict, total=False):
    prompt_tokens: Required[Annotated[int, Field(ge=0)]]
    completion_tokens: Annotated[int, Field(ge=0)]


class BackendError(TypedDict, total=False):
    code: int | str | None


class Chunk(TypedDict, total=False):
    """One event of a streamed answer, or a whole one. ``error`` is a failure after status 200.

    A checked dictionary: an answer is hundreds of these, and objects cost twice as much to build.
    """

    model: str | None
    choices: list[Choice]
    usage: TokenCount | None
    error: BackendError | str | None


CHUNK: TypeAdapter[Chunk] = TypeAdapter(Chunk)
CHUNKS: TypeAdapter[list[Chunk]] = TypeAdapter(list[Chunk])


def error_status(chunk: Chunk) -> int | None:
    """The HTTP status of a failure that was told after status 200; 500 where it says none."""
    error = chunk.get("error")
    if error is None:
        return None
    code = None if isinstance(error, str) else error.get("code")
    return code if isinstance(code, int) and 400 <= code <= 599 else 500


def has_token(chunk: Chunk) -> bool:
    """Whether the model has begun to write: words, thoughts or a tool call."""
    for choice in chunk.get("choices", ()):
        piece = choice.get("delta") or choice.get("message") or {}
        if any(piece.get(name) for name in _WRITTEN):
            return True
    return False


def text_chars(chunks: Iterable[Chunk]) -> int:
    """How long the text is that some chunks add to the answer."""
    return sum(
        len(_words_of(choice)) for chunk in chunks for choice in chunk.get("choices", ())[:1]
    )


def _words_of(choice: Choice) -> str:
    delta = choice.get("delta")
    piece = (delta if delta is not None else choice.get("message")) or {}
    return (piece.get("content") or "") + (piece.get("refusal") or "")


@dataclass(frozen=True, kw_only=True)
class Tokens:
    input: int = 0
    output: int = 0
    is_estimated: bool = False


@dataclass
class _Call:
    id: str = ""
    name: str = ""
    arguments: list[str] = field(default_factory=list[str])


class Reading:
    """What one model call has given so far.

    ``prompt_chars`` is asked only when the backend sent no usage and tokens must be estimated.
    """

    def __init__(self, prompt_chars: Callable[[], int]) -> None:
        self.response_model: str | None = None
        self.was_processed = True
        self._prompt_chars = prompt_chars
        self.text_chars = 0
        self._answer_chars = 0
        self._words: list[str] = []
        self._calls: dict[int, _Call] = {}
        self._reason: str | None = None
        self._count: TokenCount | None = None

    def add(self, chunks: Iterable[Chunk]) -> str:
        """Take in some chunks; return the words they added to the answer."""
        before = len(self._words)
        for chunk in chunks:
            self.response_model = chunk.get("model") or self.response_model
            self._count = chunk.get("usage") or self._count
            choices = chunk.get("choices")
            if choices:
                self._add_choice(choices[0])  # n is 1; anything beyond was not asked for
        return "".join(self._words[before:])

    @property
    def text(self) -> str:
        return "".join(self._words)

    @property
    def has_text(self) -> bool:
        return bool(self._words)

    @property
    def has_calls(self) -> bool:
        return bool(self._calls)

    def _add_choice(self, choice: Choice) -> None:
        self._reason = choice.get("finish_reason") or self._reason
        delta = choice.get("delta")
        piece = delta if delta is not None else choice.get("message")
        if not piece:
            return
        words = _words_of(choice)
        if words:
            self._words.append(words)
            self.text_chars += len(words)
        thoughts = piece.get("reasoning_content") or piece.get("reasoning") or ""
        self._answer_chars += len(words) + len(thoughts)
        fragments = piece.get("tool_calls")
        if fragments:
            self._add_calls(fragments, is_whole=delta is None)

    def _add_calls(self, fragments: Sequence[ToolCallPiece], *, is_whole: bool) -> None:
        for position, fragment in enumerate(fragments):
            slot = position if is_whole else self._slot(fragment)
            call = self._calls.setdefault(slot, _Call())
            call.id = call.id or fragment.get("id") or ""
            function = fragment.get("function")
            if function is not None:
                call.name = call.name or function.get("name") or ""
                arguments = function.get("arguments") or ""
                call.arguments.append(arguments)
                self._answer_chars += len(arguments)

    def _slot(self, fragment: ToolCallPiece) -> int:
        """The call a fragment belongs to; without an index, a new id opens a new call."""
        index = fragment.get("index")
        if index is not None:
            return index
        call_id = fragment.get("id")
        last = max(self._calls, default=-1)
        is_new = last < 0 or (call_id is not None and call_id != self._calls[last].id)
        return last + 1 if is_new else last

    @property
    def has_finished(self) -> bool:
        """Whether the backend said why it stopped; a stream that ends without it was cut."""
        return self._reason is not None

    @property
    def was_given_up(self) -> bool:
        return self._reason in _FAILED_REASONS

    def tool_calls(self, round_number: int) -> tuple[ToolCall, ...]:
        """Return the calls in order; a missing or repeated id is replaced by one of ours."""
        calls: list[ToolCall] = []
        seen = {""}
        for index, call in sorted(self._calls.items()):
            call_id = f"call_{round_number}_{index}" if call.id in seen else call.id
            seen.add(call_id)
            function = FunctionCall(name=call.name, arguments="".join(call.arguments))
            calls.append(ToolCall(id=call_id, function=function))
        return tuple(calls)

    @property
    def finish_reason(self) -> FinishReason:
        """The reason in the wire's words; calls outrank a ``stop``, which some servers send."""
        reason = _FINISH_REASONS.get(self._reason or "stop", "stop")
        return "tool_calls" if self._calls and reason == "stop" else reason

    @property
    def tokens(self) -> Tokens:
        """Tokens as the backend counted them, else estimated; none for a call it never took up."""
        if self._count is not None:
            return Tokens(
                input=self._count["prompt_tokens"],
                output=self._count.get("completion_tokens", 0),
            )
        if not self.was_processed:
            return Tokens()
        return Tokens(
            input=ceil(self._prompt_chars() / CHARS_PER_TOKEN),
            output=ceil(self._answer_chars / CHARS_PER_TOKEN),
            is_estimated=True,
        )
