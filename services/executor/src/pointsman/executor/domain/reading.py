"""Reads one answer of a backend: chunks in, text, tool calls, finish reason and tokens out.

Owns the response side of the OpenAI format, streamed or whole. Performs no I/O.
Source: OpenAI API reference, chat completion chunk object.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from math import ceil

from pydantic import Field

from pointsman.contracts.chat import FinishReason, FunctionCall, ToolCall
from pointsman.contracts.wire import Wire

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
_FAILED_REASONS = frozenset({"abort", "error"})
"""vLLM's words for an answer that it gave up."""


class FunctionPiece(Wire):
    name: str | None = None
    arguments: str | None = None


class ToolCallPiece(Wire):
    """A fragment of a tool call. ``index`` says which call; some servers leave it out."""

    index: int | None = Field(default=None, ge=0, lt=MAX_TOOL_CALLS)
    id: str | None = None
    function: FunctionPiece | None = None


class Piece(Wire):
    """A ``delta`` of a stream, or the ``message`` of a whole answer."""

    content: str | None = None
    refusal: str | None = None
    reasoning: str | None = None
    reasoning_content: str | None = None
    tool_calls: tuple[ToolCallPiece, ...] | None = Field(default=None, max_length=MAX_TOOL_CALLS)


class Choice(Wire):
    delta: Piece | None = None
    message: Piece | None = None
    finish_reason: str | None = None


class TokenCount(Wire):
    prompt_tokens: int = Field(ge=0)
    completion_tokens: int = Field(default=0, ge=0)


class BackendError(Wire):
    code: int | str | None = None


class Chunk(Wire):
    """One event of a streamed answer, or a whole one. ``error`` is a failure after status 200."""

    model: str | None = None
    choices: tuple[Choice, ...] = ()
    usage: TokenCount | None = None
    error: BackendError | str | None = None

    @property
    def error_status(self) -> int | None:
        """The HTTP status of a failure that was told after status 200; 500 where it says none."""
        if self.error is None:
            return None
        code = self.error.code if isinstance(self.error, BackendError) else None
        return code if isinstance(code, int) and 400 <= code <= 599 else 500

    @property
    def has_token(self) -> bool:
        """Whether the model has begun to write: words, thoughts or a tool call."""
        pieces = (choice.delta or choice.message for choice in self.choices)
        return any(
            bool(p.content or p.refusal or p.reasoning or p.reasoning_content or p.tool_calls)
            for p in pieces
            if p is not None
        )


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
        self._answer_chars = 0
        self._words: list[str] = []
        self._calls: dict[int, _Call] = {}
        self._reason: str | None = None
        self._count: TokenCount | None = None

    def add(self, chunk: Chunk) -> str:
        """Take in one chunk; return the words it added to the answer."""
        self.response_model = chunk.model or self.response_model
        self._count = chunk.usage or self._count
        added = ""
        for choice in chunk.choices[:1]:  # n is 1; anything beyond was not asked for
            self._reason = choice.finish_reason or self._reason
            if choice.delta is not None:
                added += self._add_piece(choice.delta, is_whole=False)
            elif choice.message is not None:
                added += self._add_piece(choice.message, is_whole=True)
        if added:
            self._words.append(added)
        return added

    @property
    def text(self) -> str:
        return "".join(self._words)

    @property
    def has_text(self) -> bool:
        return bool(self._words)

    @property
    def has_calls(self) -> bool:
        return bool(self._calls)

    def _add_piece(self, piece: Piece, *, is_whole: bool) -> str:
        words = (piece.content or "") + (piece.refusal or "")
        thoughts = piece.reasoning_content or piece.reasoning or ""
        self._answer_chars += len(words) + len(thoughts)
        for position, fragment in enumerate(piece.tool_calls or ()):
            slot = position if is_whole else self._slot(fragment)
            call = self._calls.setdefault(slot, _Call())
            call.id = call.id or fragment.id or ""
            if fragment.function is not None:
                call.name = call.name or fragment.function.name or ""
                call.arguments.append(fragment.function.arguments or "")
                self._answer_chars += len(fragment.function.arguments or "")
        return words

    def _slot(self, fragment: ToolCallPiece) -> int:
        """The call a fragment belongs to; without an index, a new id opens a new call."""
        if fragment.index is not None:
            return fragment.index
        last = max(self._calls, default=-1)
        is_new = last < 0 or (fragment.id is not None and fragment.id != self._calls[last].id)
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
            return Tokens(input=self._count.prompt_tokens, output=self._count.completion_tokens)
        if not self.was_processed:
            return Tokens()
        return Tokens(
            input=ceil(self._prompt_chars() / CHARS_PER_TOKEN),
            output=ceil(self._answer_chars / CHARS_PER_TOKEN),
            is_estimated=True,
        )
