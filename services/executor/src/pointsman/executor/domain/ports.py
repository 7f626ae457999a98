"""What the executor needs from outside, and the values that cross those edges.

Owns the ports; ``adapters`` implements them. Decides nothing.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Literal, Protocol

from pointsman.contracts.chat import JsonObject
from pointsman.contracts.messages import Frame
from pointsman.contracts.parts import BoundTool, RequestContext
from pointsman.executor.domain.reading import Chunk
from pointsman.routes.registry import Model


@dataclass(frozen=True, kw_only=True)
class ModelCall:
    """One request to a backend. ``timeout_s`` bounds it from connecting to the last byte."""

    model: Model
    body: JsonObject
    timeout_s: float


class ModelClient(Protocol):
    async def chat(self, call: ModelCall, take: Callable[[Sequence[Chunk]], None]) -> None:
        """Send one request and hand over the chunks of the answer, in order, as they arrive.

        What arrives together is handed over together.

        Cancelling it closes the connection, so that the backend stops working.
        Raises: ModelFailed.
        """
        ...


@dataclass(frozen=True, kw_only=True)
class ToolOutput:
    """What one tool call gave. ``text`` is the result, or in a few words why there is none."""

    status: Literal["ok", "error", "refused"]
    text: str


class ToolRunner(Protocol):
    async def run(self, tool: BoundTool, arguments: JsonObject) -> ToolOutput:
        """Make one call; a failure of the tool is an output. The caller bounds the time."""
        ...


class ArgumentCheck(Protocol):
    async def prepare(self) -> None:
        """Get ready for ``problem``: what is slow about it happens here, off the event loop."""
        ...

    def problem(self, schema: JsonObject, arguments: JsonObject) -> str | None:
        """Say in a sentence why ``arguments`` do not fit ``schema``.

        None if they do, or if the schema would take too long to apply.
        """
        ...


class Gone(Protocol):
    """Becomes true once; an ``asyncio.Event`` is one."""

    def is_set(self) -> bool: ...

    async def wait(self) -> Literal[True]: ...


class ClientLink(Protocol):
    """The way back to the client of a request, and its way of hanging up."""

    async def reply(self, context: RequestContext, frame: Frame) -> None:
        """Send a frame to the client's ingress, at most once."""
        ...

    def cancellation(self, request_id: str) -> AbstractContextManager[Gone]:
        """Return what becomes true when the client of this request goes away."""
        ...


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What bounds one attempt's tool loop."""

    max_rounds: int = 6
    max_calls: int = 8
    max_output_chars: int = 6000
    tool_timeout_s: float = 10.0
    tools_timeout_s: float = 30.0
