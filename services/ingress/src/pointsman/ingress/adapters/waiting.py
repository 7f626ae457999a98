"""Waits for the frames of one request, whatever happens to the connection meanwhile.

Frames travel at most once; the outcome is also kept, so a frame that got lost is read from there.
"""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Protocol

from pointsman.contracts.errors import ErrorCode, Retryable
from pointsman.contracts.messages import Delta, Failed, Frame
from pointsman.contracts.parts import RequestContext

ASK_AGAIN_S = 5.0
"""How long to wait for a frame before asking whether the request has ended unheard."""

LAST_WAIT = timedelta(seconds=10)
"""How long past the deadline the pipeline may take to say that the deadline has passed."""


class Outcomes(Protocol):
    """Where outcomes are kept."""

    async def outcome(self, context: RequestContext) -> Frame | None: ...


async def next_frame(
    context: RequestContext, queue: "asyncio.Queue[Frame]", outcomes: Outcomes
) -> Frame | None:
    """Return the request's next frame; None when nothing came for a while, so it is called again.

    Too long past the deadline, the answer is that the deadline has passed.
    """
    if not queue.empty():
        return queue.get_nowait()
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


async def final_frame(
    context: RequestContext, queue: "asyncio.Queue[Frame]", outcomes: Outcomes
) -> Frame:
    """Return the frame that ends the request's waiting, however long that takes."""
    while True:
        frame = await next_frame(context, queue, outcomes)
        if frame is not None and not isinstance(frame, Delta):
            return frame
