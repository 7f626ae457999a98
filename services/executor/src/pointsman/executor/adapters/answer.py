"""Reads the body of one answer of an OpenAI-compatible backend into chunks, while it arrives.

Owns the formats an answer may have, and how long it may be. Performs no I/O.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Final

from pydantic import ValidationError

from pointsman.contracts.errors import ErrorCode
from pointsman.executor.adapters.sse import EventReader, MalformedStream
from pointsman.executor.domain.failures import ModelFailed, failure_of_status
from pointsman.executor.domain.reading import CHUNK, CHUNKS, Chunk, error_status, has_token

DONE: Final = b"[DONE]"


class Answer:
    """One answer; ``is_over`` once nothing more is needed, though its body may go on.

    Raises: ModelFailed, from each of its methods; what came before is handed over first.
    """

    def __init__(
        self,
        media_type: str,
        take: Callable[[Sequence[Chunk]], None],
        *,
        max_bytes: int,
        max_event_bytes: int,
    ) -> None:
        match media_type:
            case "text/event-stream":
                self._events = EventReader(max_event_bytes)
            case "application/json":
                self._events = None
            case _:
                raise ModelFailed(ErrorCode.UPSTREAM_ERROR, "unknown content type")
        self.has_token = False
        self.is_over = False
        self._take = take
        self._left = max_bytes
        self._parts: list[bytes] = []

    def feed(self, body: bytes) -> None:
        """Take in what arrived, and hand over the events that are complete, in one go."""
        self._left -= len(body)
        if self._left < 0:
            raise ModelFailed(ErrorCode.UPSTREAM_ERROR, "the answer is too long")
        if self._events is None:
            self._parts.append(body)
        else:
            self._read(self._events.feed(body))

    def finish(self) -> None:
        """The body has ended."""
        if self._events is None:
            self._hand_over([b"".join(self._parts)])
        else:
            self._read(self._events.finish())
        self.is_over = True

    def _read(self, events: Iterator[bytes]) -> None:
        found: list[bytes] = []
        problem: MalformedStream | None = None
        try:
            for data in events:
                if data.strip() == DONE:
                    self.is_over = True
                    break
                found.append(data)
        except MalformedStream as error:
            problem = error
        self._hand_over(found)
        if problem is not None:
            raise ModelFailed(ErrorCode.UPSTREAM_ERROR, str(problem)) from problem

    def _hand_over(self, events: list[bytes]) -> None:
        chunks, problem = _parsed(events)
        if chunks:
            self.has_token = self.has_token or any(map(has_token, chunks))
            self._take(chunks)
        if problem is not None:
            raise problem


def _parsed(events: list[bytes]) -> tuple[list[Chunk], ModelFailed | None]:
    """The chunks of these events up to the first that is broken or tells a failure, and which."""
    try:
        chunks = CHUNKS.validate_json(b"[%b]" % b",".join(events))
        is_sound = len(chunks) == len(events) and not any(map(error_status, chunks))
    except ValidationError:
        chunks, is_sound = [], False
    return (chunks, None) if is_sound else _sound_part(events)


def _sound_part(events: list[bytes]) -> tuple[list[Chunk], ModelFailed | None]:
    chunks: list[Chunk] = []
    for data in events:
        try:
            chunk = CHUNK.validate_json(data)
        except ValidationError:
            # Its words stay behind: a validation error quotes the text of the answer.
            return chunks, ModelFailed(ErrorCode.UPSTREAM_ERROR, "the answer has a wrong shape")
        status = error_status(chunk)
        if status is not None:
            return chunks, failure_of_status(status, was_processed=True)
        chunks.append(chunk)
    return chunks, None
