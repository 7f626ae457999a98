"""The calls that a review takes: how many at a time, for how long, at what cost, one span each.

Owns the request that is sent. HTTP is in ``chat_completions``, which is loaded with the first call.
No word of a prompt or reply reaches a span, a log or an exception.
"""

import asyncio
from collections.abc import Generator, Mapping
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass
from importlib import import_module
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING, Final

from opentelemetry import trace
from opentelemetry.trace import Span, SpanKind, Status, StatusCode
from pydantic import SecretStr

from pointsman.contracts import telemetry as names
from pointsman.contracts.chat import JsonObject
from pointsman.contracts.parts import Usage
from pointsman.judge.domain.critic_prompt import Prompt
from pointsman.routes.registry import Model

if TYPE_CHECKING:
    from pointsman.judge.adapters.chat_completions import ChatCompletions, Completion

SEED: Final = 0

CHARS_PER_TOKEN: Final = 4
"""The usual rule of thumb for English; used only where a backend sends no usage."""

_CHAT: Final = "pointsman.judge.adapters.chat_completions"

_tracer = trace.get_tracer(__name__)


@dataclass(frozen=True, kw_only=True)
class CriticBounds:
    """What bounds reviews. ``max_calls`` is how many run at a time; one beyond them waits."""

    max_calls: int = 16
    max_output_tokens: int = 800
    connect_timeout_s: float = 3.0
    max_response_bytes: int = 256 * 1024


class NoReply(Exception):
    """A call gave nothing to read; ``reason`` is for operators and holds no text of the backend."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass
class Sitting:
    """One review by one model: until when it may take, and what it has cost so far."""

    model: Model
    ends_at: float
    input_tokens: int = 0
    output_tokens: int = 0
    calls: int = 0
    is_estimated: bool = False

    def charge(self, prompt: Prompt, completion: "Completion | None") -> None:
        """Count one call: as the backend did, else by length."""
        self.calls += 1
        counted = None if completion is None else completion.usage
        if counted is not None:
            self.input_tokens += counted.prompt_tokens
            self.output_tokens += counted.completion_tokens
            return
        said = "" if completion is None else completion.text
        self.is_estimated = True
        self.input_tokens += ceil(prompt.size_chars / CHARS_PER_TOKEN)
        self.output_tokens += ceil(len(said) / CHARS_PER_TOKEN)

    @property
    def usage(self) -> Usage:
        return self.model.usage(
            input_tokens=self.input_tokens,
            output_tokens=self.output_tokens,
            model_calls=self.calls,
            estimated=self.is_estimated,
        )


class CriticCalls:
    """The way to the backends: opened late, a bounded number of calls at a time, one span each."""

    def __init__(
        self,
        stack: AsyncExitStack,
        keys: Mapping[str, SecretStr],
        bounds: CriticBounds,
        authorities: Path | None,
    ) -> None:
        self.bounds = bounds
        self._stack = stack
        self._keys = keys
        self._authorities = authorities
        self._free = asyncio.Semaphore(bounds.max_calls)
        self._opening = asyncio.Lock()
        self._chat: ChatCompletions | None = None

    async def reply(self, sitting: Sitting, prompt: Prompt) -> str:
        """Return the words of one reply and charge the sitting with it.

        Raises: NoReply.
        """
        try:
            async with asyncio.timeout_at(sitting.ends_at):
                await self._free.acquire()
        except TimeoutError as error:
            raise NoReply("too many reviews at a time") from error
        try:
            return await self._call(sitting, prompt)
        finally:
            self._free.release()

    async def _call(self, sitting: Sitting, prompt: Prompt) -> str:
        chat = self._chat or await self._opened()
        from pointsman.judge.adapters.chat_completions import CallFailed

        left_s = sitting.ends_at - asyncio.get_running_loop().time()
        if left_s <= 0:
            raise NoReply("no time left")
        with _chat_span(sitting.model) as span:
            try:
                completion = await chat.chat(
                    sitting.model,
                    self._body(sitting.model, prompt),
                    timeout_s=min(sitting.model.timeout_s, left_s),
                )
            except asyncio.CancelledError:
                sitting.charge(prompt, None)
                raise
            except CallFailed as failure:
                if failure.was_processed:
                    sitting.charge(prompt, None)
                span.set_attribute("error.type", failure.code)
                span.set_status(Status(StatusCode.ERROR, failure.reason))
                raise NoReply(failure.reason) from failure
            _describe(span, completion)
        sitting.charge(prompt, completion)
        if not completion.text.strip():
            raise NoReply("an empty reply")
        return completion.text

    def _body(self, model: Model, prompt: Prompt) -> JsonObject:
        return {
            "model": model.backend_name,
            "messages": list(prompt.messages),
            "response_format": prompt.response_format,
            "temperature": 0,
            "seed": SEED,
            "max_tokens": self.bounds.max_output_tokens,
        }

    async def _opened(self) -> "ChatCompletions":
        async with self._opening:
            if self._chat is None:
                # aiohttp costs a third of a second; other requests go on meanwhile.
                await asyncio.to_thread(import_module, _CHAT)
                from pointsman.judge.adapters.chat_completions import Bounds, open_chat

                bounds = Bounds(
                    connect_timeout_s=self.bounds.connect_timeout_s,
                    max_connections=self.bounds.max_calls,
                    max_response_bytes=self.bounds.max_response_bytes,
                )
                opening = open_chat(bounds, self._keys, authorities=self._authorities)
                self._chat = await self._stack.enter_async_context(opening)
            return self._chat


@contextmanager
def _chat_span(model: Model) -> Generator[Span]:
    """Record one call of a critic: names, counts and codes, never words."""
    with _tracer.start_as_current_span(
        f"chat {model.backend_name}",
        kind=SpanKind.CLIENT,
        attributes={
            names.GEN_AI_OPERATION: "chat",
            names.GEN_AI_PROVIDER: model.provider,
            names.GEN_AI_REQUEST_MODEL: model.backend_name,
        },
        record_exception=False,
        set_status_on_exception=False,
    ) as span:
        yield span


def _describe(span: Span, completion: "Completion") -> None:
    if completion.usage is not None:
        span.set_attribute(names.GEN_AI_INPUT_TOKENS, completion.usage.prompt_tokens)
        span.set_attribute(names.GEN_AI_OUTPUT_TOKENS, completion.usage.completion_tokens)
    if completion.finish_reason is not None:
        span.set_attribute(names.GEN_AI_FINISH_REASONS, (completion.finish_reason,))
    if completion.model is not None:
        span.set_attribute(names.GEN_AI_RESPONSE_MODEL, completion.model)
