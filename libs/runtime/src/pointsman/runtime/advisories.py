"""Buries messages that no handler could: the broker gave up delivering them.

A message that kills its process never reaches the dead-letter code in ``delivery``; the server's
MAX_DELIVERIES advisory is the only trace of it. LLM_DEAD stores those advisories, and accounting's
process answers each with a dead letter and the end of the request.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta

import nats.errors
import nats.js.errors
import structlog
from pydantic import BaseModel, ValidationError

from pointsman.contracts.errors import Rejected, Retryable
from pointsman.contracts.messages import BusCommand, Events
from pointsman.contracts.parts import ServiceName
from pointsman.contracts.topology import Consumer
from pointsman.runtime.delivery import bury, decode
from pointsman.runtime.nats_transport import NatsTransport
from pointsman.runtime.publishing import Publisher
from pointsman.runtime.transport import Inbound

log = structlog.get_logger()

REASON = "max_deliver"


class Advisory(BaseModel):
    """What of the server's advisory we use. Source: NATS ADR-15 advisory schema."""

    stream: str
    consumer: ServiceName
    stream_seq: int
    deliveries: int


@dataclass
class _Stuck:
    """The message an advisory is about, as ``dead_letter_of`` wants it."""

    subject: str
    data: bytes
    stream: str
    stream_sequence: int
    deliveries: int
    headers: dict[str, str] = field(default_factory=dict[str, str])

    async def ack(self) -> None: ...
    async def nak(self, delay: timedelta) -> None: ...
    async def term(self) -> None: ...
    async def in_progress(self) -> None: ...


class Advisories:
    """Handles each advisory of one consumer; call it with a message, it settles it."""

    def __init__(
        self,
        transport: NatsTransport,
        consumer: Consumer,
        publisher_of: Callable[[ServiceName], Publisher],
    ) -> None:
        self._transport = transport
        self._publisher_of = publisher_of
        self._consumer = consumer

    async def __call__(self, message: Inbound) -> None:
        try:
            advisory = Advisory.model_validate_json(message.data)
            await self._bury(advisory)
        except ValidationError:
            await message.term()
            log.warning("advisory.undecodable", sequence=message.stream_sequence)
        except Retryable:
            await message.nak(self._consumer.backoff[-1])
        else:
            await message.ack()

    async def _bury(self, advisory: Advisory) -> None:
        stuck = await self._find(advisory)
        if stuck is None:
            return  # Somebody else buried it.
        command: BusCommand | None = None
        try:
            decoded = decode(advisory.consumer, stuck.data)
            command = None if isinstance(decoded, Events) else decoded
        except Rejected:
            log.warning("advisory.undecodable_body", sequence=stuck.stream_sequence)
        await bury(self._publisher_of(advisory.consumer), stuck, REASON, command)
        await self._transport.delete(advisory.stream, advisory.stream_seq)

    async def _find(self, advisory: Advisory) -> _Stuck | None:
        try:
            found = await self._transport.jetstream.get_msg(advisory.stream, advisory.stream_seq)
        except nats.js.errors.NotFoundError:
            return None
        except (nats.js.errors.Error, nats.errors.Error, TimeoutError) as error:
            raise Retryable(f"cannot read {advisory.stream}: {type(error).__name__}") from error
        return _Stuck(
            subject=found.subject or "",
            data=found.data or b"",
            stream=advisory.stream,
            stream_sequence=advisory.stream_seq,
            deliveries=advisory.deliveries,
        )
