"""How long what is done waits for a broker that is away, before its message goes back."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import TypeVar

from pointsman.contracts.errors import Retryable

Result = TypeVar("Result")

PATIENCE = timedelta(seconds=60)
PAUSE_S = 0.5


async def patiently(publish: Callable[[], Awaitable[Result]]) -> Result:
    """Publish, and again while the broker is away: the work is done and should not be lost.

    Raises: Retryable after ``PATIENCE``.
    """
    give_up_at = time.monotonic() + PATIENCE.total_seconds()
    while True:
        try:
            return await publish()
        except Retryable:
            if time.monotonic() > give_up_at:
                raise
            await asyncio.sleep(PAUSE_S)
