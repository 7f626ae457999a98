"""Publishes what follows a fact: events, next commands, the outcome. The seam for fusing stages.

Owns ids, headers and the order of publishes. Everything here may be repeated: ids are deterministic
and the outcome is created once.
"""

import asyncio
import json
from collections.abc import Mapping
from datetime import UTC, datetime

from opentelemetry import propagate

from pointsman.contracts.errors import ErrorCode, Rejected
from pointsman.contracts.flow import Steps, history_after, next_steps, stage_of
from pointsman.contracts.messages import (
    OUTCOME,
    STAGE_FACT,
    BusCommand,
    Command,
    DeadLetter,
    DeadLettered,
    Event,
    Execute,
    Executed,
    Failed,
    Frame,
    Outcome,
    PublishedFact,
    StageFact,
    command_id,
    outcome_id,
    stage_id,
)
from pointsman.contracts.parts import RequestContext, ServiceName
from pointsman.contracts.topology import (
    LLM_DEAD,
    LLM_EVENTS,
    LLM_WORK,
    MEMO,
    dead_subject,
    event_subject,
    reply_subject,
    work_subject,
)
from pointsman.contracts.wire import redacted
from pointsman.runtime.transport import Transport


def trace_headers() -> dict[str, str]:
    """Return the current trace context as message headers (W3C ``traceparent``)."""
    headers: dict[str, str] = {}
    propagate.inject(headers)
    return headers


def event_payload(event: Event) -> bytes:
    """Return the event as stored: its fact without content."""
    body = event.model_dump(mode="json", exclude={"fact"})
    body["fact"] = redacted(event.fact)
    return json.dumps(body, separators=(",", ":")).encode()


class Publisher:
    """Publishes on behalf of one service."""

    def __init__(self, transport: Transport, service: ServiceName) -> None:
        self._transport = transport
        self._service: ServiceName = service

    async def recall(self, command: Command) -> StageFact | None:
        """Return the fact that this command was already answered with, if it was kept."""
        stored = await self._transport.get(MEMO, command_id(command, self._service))
        return None if stored is None else STAGE_FACT.validate_json(stored)

    async def remember(self, command: Command, fact: StageFact) -> StageFact:
        """Keep a fact that was paid for, before anything follows from it.

        Returns what is kept: another process may have answered the same command before.
        """
        key = command_id(command, self._service)
        if await self._transport.create(MEMO, key, fact.model_dump_json().encode()):
            return fact
        return await self.recall(command) or fact

    async def has_ended(self, context: RequestContext) -> bool:
        """Whether the request has its outcome already: nothing needs to be paid for it any more."""
        return await self._transport.get(MEMO, outcome_id(context)) is not None

    async def abandon(self, context: RequestContext) -> None:
        """End a request that its client was told is not accepted, if it has not ended."""
        failed = Failed(request_id=context.request_id, code=ErrorCode.UNAVAILABLE, stage="ingress")
        await self._transport.create(MEMO, outcome_id(context), failed.model_dump_json().encode())

    async def give_up(self, command: BusCommand, reason: str, *, delivery: int) -> None:
        """End the request of a command that never succeeded.

        A fact that was paid for and kept still reaches the books, and the outcome tells its cost.
        """
        ending = DeadLettered(stage=self._service, reason=reason)
        known = await self.recall(command)
        if isinstance(command, Execute) and isinstance(known, Executed):
            command = command.model_copy(update={"history": history_after(command, known)})
        steps = next_steps(command, ending)
        await self.follow_up(command, known or ending, steps, duration_s=0.0, delivery=delivery)

    async def follow_up(
        self,
        command: Command,
        fact: PublishedFact,
        steps: Steps,
        *,
        duration_s: float,
        delivery: int,
    ) -> None:
        """Publish the fact's event, the next commands and the outcome; return when all are stored.

        Raises: Retryable. Repeating it publishes nothing twice.
        """
        headers = trace_headers()
        event = Event(
            service=self._service,
            context=command.context,
            at=datetime.now(UTC),
            duration_s=duration_s,
            delivery=delivery,
            attempt=command.attempt,
            fact=fact,
        )
        event_id = stage_id(command.context, self._service, command.attempt)
        # Commands first: an event must not tell of a step that the queue then refuses.
        await asyncio.gather(*(self._command(following, headers) for following in steps.commands))
        await self._event(event, event_id, headers)
        if steps.outcome is not None:
            await self._finish(command, steps.outcome, headers)

    async def dead_letter(self, letter: DeadLetter) -> None:
        """Store a message that was given up; without its body if that is too large to store."""
        try:
            await self._store_letter(letter)
        except Rejected:
            shortened = {"body": b"", "detail": f"body of {len(letter.body)} bytes left out"}
            await self._store_letter(letter.model_copy(update=shortened))

    async def _store_letter(self, letter: DeadLetter) -> None:
        await self._transport.publish(
            dead_subject(letter.service),
            letter.model_dump_json().encode(),
            stream=LLM_DEAD,
            message_id=f"dead.{letter.stream}.{letter.stream_sequence}",
            headers=trace_headers(),
        )

    async def reply(self, context: RequestContext, frame: Frame) -> None:
        """Send a frame to the ingress that holds the client's connection."""
        await self._transport.send(
            reply_subject(context.ingress, context.request_id), frame.model_dump_json().encode()
        )

    async def _command(self, command: BusCommand, headers: Mapping[str, str]) -> None:
        # The seam for fused stages (DESIGN decision 6): a stage of this process is called here.
        following = stage_of(command)
        await self._transport.publish(
            work_subject(following),
            command.model_dump_json().encode(),
            stream=LLM_WORK,
            message_id=command_id(command, following),
            headers=dict(headers),
        )

    async def _event(self, event: Event, message_id: str, headers: Mapping[str, str]) -> None:
        await self._transport.publish(
            event_subject(event.service, event.fact.type),
            event_payload(event),
            stream=LLM_EVENTS,
            message_id=message_id,
            headers=dict(headers),
        )

    async def _finish(self, command: Command, outcome: Outcome, headers: Mapping[str, str]) -> None:
        """Keep the outcome, tell the books, tell the client, in this order.

        The first outcome wins: whoever comes second repeats the first one's words.
        """
        context = command.context
        key = outcome_id(context)
        if not await self._transport.create(MEMO, key, outcome.model_dump_json().encode()):
            stored = await self._transport.get(MEMO, key)
            if stored is not None:
                outcome = OUTCOME.validate_json(stored)
        event = Event(
            service=self._service,
            context=context,
            at=datetime.now(UTC),
            attempt=command.attempt,
            fact=outcome,
        )
        await self._event(event, key, headers)
        await self.reply(context, outcome)
