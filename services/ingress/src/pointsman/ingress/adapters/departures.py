"""Clients that are not waiting any more: the pipeline is told, whatever becomes of their task."""

import asyncio
from collections.abc import Coroutine
from datetime import UTC, datetime
from typing import Any

import structlog

from pointsman.contracts.errors import Retryable
from pointsman.contracts.parts import RequestContext
from pointsman.runtime import Bus

log = structlog.get_logger()

CANCEL_TIMEOUT_S = 2.0


class Departures:
    """Cancels and abandons requests, in tasks of their own."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._is_stopping = False
        self._tasks: set[asyncio.Task[None]] = set()

    def stop(self) -> None:
        """Clients are about to be disconnected by us: what they asked for goes on without them."""
        self._is_stopping = True

    def cancel(self, context: RequestContext) -> None:
        """Tell whoever works on the request that its client went away."""
        if self._is_stopping:
            return
        log.info("request.cancelled", request_id=context.request_id)
        self._detach(self._send_cancel(context))

    def abandon(self, context: RequestContext) -> None:
        """End a request that may have been stored although its client is told it was not."""
        self._detach(self._abandon(context))

    def _detach(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _send_cancel(self, context: RequestContext) -> None:
        try:
            async with asyncio.timeout(CANCEL_TIMEOUT_S):
                await self._bus.cancel(context.request_id)
        except (Retryable, TimeoutError):
            log.warning("cancel.unsent", request_id=context.request_id)

    async def _abandon(self, context: RequestContext) -> None:
        while datetime.now(UTC) < context.deadline:
            try:
                await self._bus.abandon(context)
            except Retryable:
                await asyncio.sleep(CANCEL_TIMEOUT_S)
            else:
                return
