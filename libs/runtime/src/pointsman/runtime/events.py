"""Stores facts on LLM_EVENTS, many in one message and off the request's path.

Owns the gathering, and who is told once a fact is stored. A command is settled only after its facts
are, so nothing is lost when a process dies; the same fact may then be stored twice, which its
``event_id`` tells.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import uuid4

import structlog

from pointsman.contracts.errors import Rejected, Retryable
from pointsman.contracts.messages import Event, Events
from pointsman.contracts.parts import ServiceName
from pointsman.contracts.topology import LLM_EVENTS, MIXED_FACTS, event_subject
from pointsman.contracts.wire import redacted_json
from pointsman.runtime.handover import Handover
from pointsman.runtime.patience import patiently
from pointsman.runtime.transport import Transport

log = structlog.get_logger()

GATHER_S = 0.05
"""How long the first fact of a message waits for others."""

MAX_EVENTS = 256
MAX_BYTES = 256 * 1024


@dataclass(kw_only=True)
class _Waiting:
    """A fact that is not stored yet, and who waits for it."""

    event: Event
    body: bytes
    stored: "asyncio.Future[None]"


class EventWriter:
    """Stores the facts of one process; ``host`` names it where its services' facts are mixed."""

    def __init__(self, transport: Transport, host: ServiceName, handover: Handover) -> None:
        self._transport = transport
        self._handover = handover
        self._host: ServiceName = host
        self._waiting: list[_Waiting] = []
        self._wake = asyncio.Event()
        self._is_closing = False

    def add(self, event: Event) -> "asyncio.Future[None]":
        """Take a fact; the result tells when it is stored.

        The future raises Retryable if the broker stays away, Rejected if it never takes the fact.
        """
        stored: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        # Nobody needs to listen: of an accepted request, the command itself is what must be stored.
        stored.add_done_callback(_heard)
        self._waiting.append(_Waiting(event=event, body=redacted_json(event), stored=stored))
        self._wake.set()
        return stored

    async def run(self) -> None:
        """Store what is added, until ``close`` and everything before it is stored."""
        try:
            while not (self._is_closing and not self._waiting):
                await self._wake.wait()
                self._wake.clear()
                if not self._is_closing:
                    await asyncio.sleep(GATHER_S)
                while self._waiting:
                    await self._store(self._next_batch())
        finally:
            _fail(self._waiting, Retryable("facts are no longer stored"))

    def close(self) -> None:
        self._is_closing = True
        self._wake.set()

    def _next_batch(self) -> list[_Waiting]:
        batch: list[_Waiting] = []
        size = 0
        for waiting in self._waiting[:MAX_EVENTS]:
            size += len(waiting.body)
            if batch and size > MAX_BYTES:
                break
            batch.append(waiting)
        del self._waiting[: len(batch)]
        return batch

    async def _store(self, batch: Sequence[_Waiting]) -> None:
        message_id = f"events.{uuid4().hex}"
        payload = _payload(batch)
        events = Events(events=tuple(waiting.event for waiting in batch))
        self._handover.keep(message_id, events, "accounting", size_bytes=len(payload))
        try:
            await patiently(
                lambda: self._transport.publish(
                    self._subject(batch),
                    payload,
                    stream=LLM_EVENTS,
                    message_id=message_id,
                    headers={},
                )
            )
        except (Retryable, Rejected) as error:
            self._handover.take(message_id)
            log.warning("events.unstored", events=len(batch), error=type(error).__name__)
            _fail(batch, error)
        else:
            for waiting in batch:
                if not waiting.stored.done():
                    waiting.stored.set_result(None)

    def _subject(self, members: Sequence[_Waiting]) -> str:
        services: set[ServiceName] = {waiting.event.service for waiting in members}
        kinds = {waiting.event.fact.type for waiting in members}
        service = services.pop() if len(services) == 1 else self._host
        return event_subject(service, kinds.pop() if len(kinds) == 1 else MIXED_FACTS)


def _payload(batch: Sequence[_Waiting]) -> bytes:
    return b'{"type":"events","events":[' + b",".join(waiting.body for waiting in batch) + b"]}"


def _fail(members: Sequence[_Waiting], error: Retryable | Rejected) -> None:
    for waiting in members:
        if not waiting.stored.done():
            waiting.stored.set_exception(error)


def _heard(stored: "asyncio.Future[None]") -> None:
    """Take note of an error that nobody waits for; whoever waits gets it all the same."""
    if not stored.cancelled():
        stored.exception()
