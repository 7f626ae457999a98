"""Delivery, solved once: what happens around every handler.

Owns decoding, the deadline, the memo of paid facts, heartbeats, publishing what follows, and how a
message is settled: ack, nak with backoff, or dead letter. Knows no service and no broker.
The only place that catches ``Exception``.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Generic, TypeVar, cast

import structlog
from pydantic import ValidationError

from pointsman.contracts.errors import Rejected, Retryable
from pointsman.contracts.flow import next_steps, stage_of
from pointsman.contracts.messages import (
    BUS_COMMAND,
    Accept,
    Command,
    DeadLetter,
    Event,
    Expired,
    Fact,
    PublishedFact,
    Recorded,
    StageFact,
    command_id,
)
from pointsman.contracts.parts import ServiceName
from pointsman.contracts.topology import Consumer
from pointsman.runtime.observability import Observed, observe
from pointsman.runtime.publishing import Publisher
from pointsman.runtime.service import Service
from pointsman.runtime.transport import Inbound

log = structlog.get_logger()

Deps = TypeVar("Deps")
Result = TypeVar("Result")

PUBLISH_PATIENCE = timedelta(seconds=60)
"""How long a computed fact waits for a broker that is away, before its message goes back."""

PUBLISH_PAUSE_S = 0.5

GRACE = timedelta(seconds=1)
"""What a handler may take beyond the deadline to say itself how it ended."""

_delivery_count: ContextVar[int] = ContextVar("delivery_count", default=1)


def delivery_count() -> int:
    """How often the message being handled has been delivered, counted from 1."""
    return _delivery_count.get()


@dataclass
class _Running:
    """A message being handled; a redelivery replaces ``message``, so the newest is settled."""

    message: Inbound


def decode(service: str, body: bytes) -> Command:
    """Return the command in ``body``.

    Raises: Rejected if it is no command of ours, or one for another service.
    """
    try:
        command = (
            Event.model_validate_json(body)
            if service == "accounting"
            else BUS_COMMAND.validate_json(body)
        )
    except ValidationError as error:
        # The values stay out: an undecodable body may hold anything.
        where = ".".join(str(part) for part in error.errors()[0]["loc"])
        raise Rejected(f"not a command: {error.errors()[0]['type']} at {where or 'body'}") from None
    if stage_of(command) != service:
        raise Rejected(f"{command.type} is not for {service}")
    return command


class Delivery(Generic[Deps]):
    """Handles each message of one consumer; call it with a message, it settles it."""

    def __init__(
        self, *, service: Service[Deps], consumer: Consumer, publisher: Publisher, deps: Deps
    ) -> None:
        self._service = service
        self._consumer = consumer
        self._publisher = publisher
        self._deps = deps
        self._running: dict[str, _Running] = {}

    async def __call__(self, message: Inbound) -> None:
        try:
            command = decode(self._service.name, message.data)
        except Rejected as error:
            await self._settle(self._bury(message, error.reason, None), message)
            return
        # Events have no id of their own; the same one comes again under the same sequence.
        is_event = isinstance(command, Event)
        key = str(message.stream_sequence) if is_event else command_id(command, self._service.name)
        if key in self._running:
            # It came again while it runs (the broker was away): settle the newest delivery only.
            self._running[key].message = message
            return
        self._running[key] = running = _Running(message)
        _delivery_count.set(message.deliveries)
        try:
            with observe(self._service.name, command, message) as observed:
                await self._handle(command, running, observed)
        finally:
            del self._running[key]

    async def heartbeat(self) -> None:
        """Tell the broker that the running handlers are alive, until cancelled."""
        interval = self._consumer.ack_wait.total_seconds() / 3
        while True:
            await asyncio.sleep(interval)
            for running in tuple(self._running.values()):
                try:
                    await running.message.in_progress()
                except Exception as error:  # noqa: BLE001 - a heartbeat missed is a redelivery, no more
                    log.debug("heartbeat.failed", error=type(error).__name__)

    async def _handle(self, command: Command, running: _Running, observed: Observed) -> None:
        try:
            started = time.perf_counter()
            fact = await self._fact(command)
            duration_s = time.perf_counter() - started
            observed.fact(fact)
            await self._publish(command, fact, duration_s=duration_s)
            await running.message.ack()
        except asyncio.CancelledError:
            observed.ended("returned")
            await self._settle(running.message.nak(timedelta(0)), running.message)
            raise
        except Rejected as error:
            observed.ended("rejected", error)
            await self._give_up(command, running.message, error.reason)
        except Retryable as error:
            observed.ended("retried", error)
            after = None if error.retry_after_s is None else timedelta(seconds=error.retry_after_s)
            await self._later(command, running.message, error.reason, after)
        except Exception as error:
            observed.ended("failed", error)
            log.exception("handler.failed", stage=self._service.name)
            await self._later(command, running.message, type(error).__name__, None)

    async def _fact(self, command: Command) -> Fact:
        stage = self._service.name
        if isinstance(command, Event):
            return await self._service.handle(command, deps=self._deps)
        if self._service.is_memoized:
            if known := await self._publisher.recall(command):
                return known
            if await self._publisher.has_ended(command.context):
                return Expired(stage=stage)
        left = command.context.deadline - datetime.now(UTC)
        if left <= timedelta(0):
            return Expired(stage=stage)
        try:
            async with asyncio.timeout((left + GRACE).total_seconds()):
                fact = await self._service.handle(command, deps=self._deps)
        except TimeoutError:
            if datetime.now(UTC) < command.context.deadline:
                raise  # The handler's own, and so an error like any other.
            return Expired(stage=stage)
        if self._service.is_memoized:
            paid = cast("StageFact", fact)
            return await self._patiently(lambda: self._publisher.remember(command, paid))
        return fact

    async def _publish(self, command: Command, fact: Fact, *, duration_s: float) -> None:
        if isinstance(fact, Recorded):
            return
        published: PublishedFact = fact
        steps = next_steps(command, fact)
        await self._patiently(
            lambda: self._publisher.follow_up(
                command, published, steps, duration_s=duration_s, delivery=delivery_count()
            )
        )

    async def _patiently(self, publish: Callable[[], Awaitable[Result]]) -> Result:
        """Publish, waiting for a broker that is away: the work is done and should not be lost.

        Raises: Retryable after ``PUBLISH_PATIENCE``.
        """
        give_up_at = time.monotonic() + PUBLISH_PATIENCE.total_seconds()
        while True:
            try:
                return await publish()
            except Retryable:
                if time.monotonic() > give_up_at:
                    raise
                await asyncio.sleep(PUBLISH_PAUSE_S)

    async def _later(
        self, command: Command, message: Inbound, reason: str, after: timedelta | None
    ) -> None:
        """Nak with backoff, or give up: a nak on the last delivery would hide the message."""
        if message.deliveries >= self._consumer.max_deliver:
            await self._give_up(command, message, reason)
            return
        backoff = self._consumer.backoff
        step = backoff[min(message.deliveries, len(backoff)) - 1]
        await self._settle(message.nak(max(step, after or timedelta(0))), message)

    async def _give_up(self, command: Command, message: Inbound, reason: str) -> None:
        await self._settle(self._bury(message, reason, command), message)

    async def _bury(self, message: Inbound, reason: str, command: Command | None) -> None:
        """Store a dead letter, end the request, and take the message out of the stream."""
        await bury(self._publisher, self._service.name, message, reason, command)
        await message.term()

    async def _settle(self, settling: Awaitable[None], message: Inbound) -> None:
        """Settle; if that fails the broker delivers again after ``ack_wait``."""
        try:
            await settling
        except Exception as error:  # noqa: BLE001 - the message stays with the broker, nothing is lost
            log.warning(
                "message.unsettled",
                stage=self._service.name,
                sequence=message.stream_sequence,
                error=type(error).__name__,
            )


async def bury(
    publisher: Publisher,
    service: ServiceName,
    message: Inbound,
    reason: str,
    command: Command | None,
) -> None:
    """Store a dead letter and end its request; taking the message out of its stream is next."""
    await publisher.dead_letter(dead_letter_of(service, message, reason, command))
    if command is not None and not isinstance(command, Accept | Event):
        await publisher.give_up(command, reason, delivery=message.deliveries)
    log.error("message.dead_lettered", stage=service, reason=reason)


def dead_letter_of(
    service: ServiceName, message: Inbound, reason: str, command: Command | None
) -> DeadLetter:
    """Return the dead letter of ``message``: its body as it came, and where and why it ended."""
    return DeadLetter(
        service=service,
        stream=message.stream,
        subject=message.subject,
        stream_sequence=message.stream_sequence,
        deliveries=message.deliveries,
        reason=reason,
        at=datetime.now(UTC),
        request_id=command.context.request_id if command else None,
        body=message.data,
    )
