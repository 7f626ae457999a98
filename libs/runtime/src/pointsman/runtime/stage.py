"""One service of this process, ready to answer commands.

Owns what holds for every answer, wherever its command came from: the deadline, and the memo of what
was paid for. Settles nothing and publishes nothing else; that is ``delivery``'s.
"""

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from pointsman.contracts.messages import (
    BusCommand,
    Events,
    Execute,
    Expired,
    Fact,
    StageFact,
)
from pointsman.contracts.parts import ServiceName
from pointsman.runtime.patience import patiently
from pointsman.runtime.publishing import Publisher
from pointsman.runtime.service import Service

GRACE = timedelta(seconds=1)
"""What a handler may take beyond the deadline to say itself how it ended."""


@dataclass(frozen=True, kw_only=True)
class Stage:
    """A service, what its handler needs, and how it publishes."""

    service: Service[Any]
    deps: Any
    publisher: Publisher

    @property
    def name(self) -> ServiceName:
        return self.service.name

    async def record(self, events: Events) -> Fact:
        """Answer a message of facts: only accounting does."""
        return await self.service.handle(events, deps=self.deps)

    async def answer(self, command: BusCommand, *, is_first: bool = False) -> Fact:
        """Return the command's fact: computed, remembered, or that it came too late.

        ``is_first``: nobody can have answered it before, so nothing can be remembered of it.
        Raises: what the handler raises, and Retryable if the bus does not answer.
        """
        is_memoized = self.service.is_memoized(command)
        if is_memoized and not is_first and (known := await self._remembered(command)):
            return known
        left = command.context.deadline - datetime.now(UTC)
        if left <= timedelta(0):
            return Expired(stage=self.name)
        try:
            async with asyncio.timeout((left + GRACE).total_seconds()):
                fact = await self.service.handle(command, deps=self.deps)
        except TimeoutError:
            if datetime.now(UTC) < command.context.deadline:
                raise  # The handler's own, and so an error like any other.
            return Expired(stage=self.name)
        if is_memoized:
            paid = cast("StageFact", fact)
            return await patiently(lambda: self.publisher.remember(command, paid))
        return fact

    async def _remembered(self, command: BusCommand) -> Fact | None:
        """What is left to say of a command that was answered, or whose request has ended."""
        if await self.publisher.is_new(command.context):
            return None
        if known := await self.publisher.recall(command):
            return known
        if isinstance(command, Execute) and await self.publisher.has_ended(command.context):
            return Expired(stage=self.name)
        return None  # A judgement for the record comes after the end.
