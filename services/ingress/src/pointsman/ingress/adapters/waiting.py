"""Waits for the frames of one request, whatever happens to the connection meanwhile.

Frames travel at most once; the outcome is also kept, so a frame that got lost is read from there.
"""

import asyncio
from collections.abc import AsyncGenerator
from datetime import UTC, datetime, timedelta
from typing import Protocol

from pointsman.contracts.errors import ErrorCode, Retryable
from pointsman.contracts.messages import Delta, Failed, Frame, Pending
from pointsman.contracts.parts import RequestContext

ASK_AGAIN_S = 5.0
"""How long to wait for a frame before asking whether the request has ended unheard."""

LAST_WAIT = timedelta(seconds=10)
"""How long past the deadline the pipeline may take to say that the deadline has passed."""


class Outcomes(Protocol):
    """Where outcomes are kept."""

    async def outcome(self, context: RequestContext) -> Frame | None: ...


async def frames_of(
    context: RequestContext, queue: "asyncio.Queue[Frame]", outcomes: Outcomes
) -> AsyncGenerator[Frame | None]:
    """Yield the request's frames up to the final one; None whenever nothing came for a while."""
    while True:
        frame = await _next(context, queue, outcomes)
        yield frame
        if frame is not None and not isinstance(frame, Delta | Pending):
            return


async def _next(
    context: RequestContext, queue: "asyncio.Queue[Frame]", outcomes: Outcomes
) -> Frame | None:
    try:
        async with asyncio.timeout(ASK_AGAIN_S):
            return await queue.get()
    except TimeoutError:
        pass
    try:
        frame = await outcomes.outcome(context)
    except Retryable:
        frame = None
    if frame is None and datetime.now(UTC) > context.deadline + LAST_WAIT:
        return Failed(
            request_id=context.request_id, code=ErrorCode.DEADLINE_EXCEEDED, stage="ingress"
        )
    return frame
