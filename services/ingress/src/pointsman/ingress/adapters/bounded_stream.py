"""A streaming response that ends in time, whether or not its client reads it."""

import asyncio
from collections.abc import AsyncGenerator
from datetime import UTC, datetime

import structlog
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

log = structlog.get_logger()


class BoundedStream(StreamingResponse):
    """A stream that ends when its request must have: a client that stops reading holds no slot."""

    def __init__(
        self,
        content: AsyncGenerator[bytes],
        *,
        headers: dict[str, str],
        media_type: str,
        ends_at: datetime,
    ) -> None:
        super().__init__(content, headers=headers, media_type=media_type)
        self._pieces = content
        self._ends_at = ends_at

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        left = (self._ends_at - datetime.now(UTC)).total_seconds()
        try:
            async with asyncio.timeout(left):
                await super().__call__(scope, receive, send)
        except TimeoutError:
            log.warning("stream.unread")
        finally:
            await self._pieces.aclose()
