"""What a process hears over core NATS: frames for its clients, and clients that went away.

Owns the two subscriptions and who waits on them. One subscription per process, not one per request.
"""

import asyncio
from collections.abc import Generator
from contextlib import contextmanager

import structlog
from pydantic import ValidationError

from pointsman.contracts.messages import FRAME, Frame
from pointsman.contracts.topology import CANCEL_SUBJECTS, reply_subject
from pointsman.runtime.transport import Transport

log = structlog.get_logger()

MAX_QUEUED_FRAMES = 4096
"""Frames that may wait for a slow client; past it frames are lost, the outcome is kept anyway."""


class Replies:
    """Frames that arrive for this process, by request."""

    def __init__(self, transport: Transport, instance: str) -> None:
        self._transport = transport
        self._instance = instance
        self._waiting: dict[str, asyncio.Queue[Frame]] = {}

    async def start(self) -> None:
        await self._transport.listen(reply_subject(self._instance, "*"), self._received)

    def is_here(self, ingress: str) -> bool:
        """Whether frames for this ingress are for this process."""
        return ingress == self._instance

    @contextmanager
    def subscribe(self, request_id: str) -> Generator["asyncio.Queue[Frame]"]:
        """Return the queue on which the frames of one request arrive."""
        queue: asyncio.Queue[Frame] = asyncio.Queue(MAX_QUEUED_FRAMES)
        self._waiting[request_id] = queue
        try:
            yield queue
        finally:
            del self._waiting[request_id]

    def deliver(self, request_id: str, frame: Frame) -> None:
        """Give a frame to whoever waits for it in this process."""
        queue = self._waiting.get(request_id)
        if queue is None:
            return  # The client went away, or had its answer already.
        try:
            queue.put_nowait(frame)
        except asyncio.QueueFull:
            log.warning("frame.dropped", request_id=request_id)

    async def _received(self, subject: str, payload: bytes) -> None:
        request_id = subject.rsplit(".", 1)[-1]
        if request_id not in self._waiting:
            return
        try:
            self.deliver(request_id, FRAME.validate_json(payload))
        except ValidationError:
            log.warning("frame.undecodable", subject=subject)


class Cancellations:
    """Requests whose client went away, for whoever works on them in this process."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._watching: dict[str, set[asyncio.Event]] = {}

    async def start(self) -> None:
        await self._transport.listen(CANCEL_SUBJECTS, self._received)

    @contextmanager
    def watch(self, request_id: str) -> Generator[asyncio.Event]:
        """Return an event that is set when the client of this request goes away."""
        event = asyncio.Event()
        self._watching.setdefault(request_id, set()).add(event)
        try:
            yield event
        finally:
            events = self._watching[request_id]
            events.discard(event)
            if not events:
                del self._watching[request_id]

    async def _received(self, subject: str, payload: bytes) -> None:  # noqa: ARG002 - the subject says it all
        for event in self._watching.get(subject.rsplit(".", 1)[-1], ()):
            event.set()
