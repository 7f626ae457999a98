"""Sends the answer to the client while it is written.

Text goes out as soon as the loop turns; what arrives while a frame is on its way travels in the
next one. Frames are best effort: the whole answer is in the fact, so a broken way back ends the
stream and not the attempt.
"""

import asyncio
from collections.abc import Sequence
from types import TracebackType
from typing import Final, Self

import structlog

from pointsman.contracts.chat import ToolCall
from pointsman.contracts.errors import Retryable
from pointsman.contracts.messages import Delta, Execute
from pointsman.executor.domain.ports import ClientLink

log = structlog.get_logger()

REPLY_TIMEOUT_S: Final = 5.0
"""How long the frames that are left may take at the end; longer means that NATS is down."""


def may_stream(command: Execute) -> bool:
    """Whether tokens may leave before the answer is judged, and the client wants them."""
    if command.draft is not None:
        return False  # A second opinion is for the judge.
    evaluator = command.decision.evaluator
    return command.context.stream and (evaluator is None or evaluator.mode == "observe")


class DeltaStream:
    """The deltas of one delivery of one attempt; does nothing where tokens may not leave."""

    def __init__(self, client: ClientLink, command: Execute, *, model: str, delivery: int) -> None:
        self.has_sent = False
        self._client = client
        self._command = command
        self._model = model
        self._delivery = delivery
        self._sequence = 0
        self._is_open = may_stream(command)
        self._waiting: list[str] = []
        self._wake = asyncio.Event()
        self._is_last = False
        self._sender: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        if self._is_open:
            self._sender = asyncio.create_task(self._send_all())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._sender is not None and not self._sender.done():
            self._sender.cancel()
            await asyncio.wait((self._sender,))

    def push(self, text: str) -> None:
        """Take ``text`` to be sent; returns at once."""
        if self._is_open:
            self._waiting.append(text)
            self._wake.set()

    async def finish(self, tool_calls: Sequence[ToolCall], *, ends_at: float) -> None:
        """Send what is left, then the calls that the client has to run.

        Gives up after ``REPLY_TIMEOUT_S``, at the latest at ``ends_at`` of the loop's clock: the
        answer must not wait for its copy.
        """
        if self._sender is None:
            return
        self._is_last = True
        self._wake.set()
        patience_ends = asyncio.get_running_loop().time() + REPLY_TIMEOUT_S
        try:
            async with asyncio.timeout_at(min(ends_at, patience_ends)):
                await self._sender
                if tool_calls and self._is_open:
                    await self._send(self._delta(tool_calls=tool_calls))
        except TimeoutError:
            log.warning("reply.unfinished", sequence=self._sequence)

    async def _send_all(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            text = "".join(self._waiting)
            self._waiting.clear()
            if text and self._is_open:
                await self._send(self._delta(text=text))
            if self._is_last and not self._waiting:
                return

    async def _send(self, delta: Delta) -> None:
        self.has_sent = True  # from here on the client may have seen it
        self._sequence += 1
        try:
            await self._client.reply(self._command.context, delta)
        except (Retryable, OSError) as error:
            self._is_open = False
            log.warning("reply.failed", error=type(error).__name__, sequence=delta.sequence)

    def _delta(self, *, text: str = "", tool_calls: Sequence[ToolCall] = ()) -> Delta:
        return Delta(
            request_id=self._command.context.request_id,
            attempt=self._command.attempt,
            delivery=self._delivery,
            sequence=self._sequence,
            model=self._model,
            decision=self._command.decision,
            text=text,
            tool_calls=tuple(
                {"index": index, **call.model_dump(mode="json")}
                for index, call in enumerate(tool_calls)
            ),
        )
