"""One request in, the tools that complete it out."""

import asyncio
from dataclasses import dataclass

import numpy as np
from opentelemetry import trace

from pointsman.contracts import telemetry
from pointsman.contracts.errors import Rejected
from pointsman.contracts.messages import RetrieveTools, ToolsRetrieved
from pointsman.contracts.parts import BoundTool
from pointsman.toolrag.domain import DIMENSIONS, Embedder, Hit, ToolIndex, Vectors

tracer = trace.get_tracer(__name__)

# Up to these a search takes about a millisecond, and going to a thread and back as much as that.
INLINE_TOOLS = 8_000
INLINE_CHARACTERS = 4_000


@dataclass(frozen=True, kw_only=True)
class Deps:
    """``embedder`` is asked only for requests that arrive without a vector."""

    index: ToolIndex
    embedder: Embedder
    min_k: int
    max_k: int


async def retrieve_tools(command: RetrieveTools, *, deps: Deps) -> ToolsRetrieved:
    """Return the tools to bind. Raises: Rejected if the command's vector is not MiniLM's."""
    with tracer.start_as_current_span("retrieval catalogue") as span:
        span.set_attribute(telemetry.GEN_AI_OPERATION, "retrieval")
        hits = [] if command.request.tool_choice == "none" else await _hits(command, deps)
        fact = ToolsRetrieved(
            tools=tuple(
                BoundTool(
                    tool_id=hit.tool.tool_id,
                    definition=hit.tool.definition,
                    effect=hit.tool.effect,
                    score=round(hit.score, 4),
                )
                for hit in hits
            ),
            tool_ids=tuple(hit.tool.tool_id for hit in hits),
            bound_tokens=sum(hit.tool.tokens for hit in hits),
            catalogue_tools=len(deps.index.catalogue.tools),
            catalogue_tokens=deps.index.tokens,
        )
        span.set_attribute(telemetry.BOUND_TOKENS, fact.bound_tokens)
        span.set_attribute(telemetry.CATALOGUE_TOKENS, fact.catalogue_tokens)
        return fact


async def _hits(command: RetrieveTools, deps: Deps) -> list[Hit]:
    text = command.request.last_user_text
    if not text.strip():
        return []
    own_names = frozenset(tool.function.name for tool in command.request.tools or ())
    vector = _vector(command.vector)
    is_quick = len(text) <= INLINE_CHARACTERS and len(deps.index.catalogue.tools) <= INLINE_TOOLS
    if vector is not None and is_quick:
        return _bind(text, vector, own_names, deps)
    return await asyncio.to_thread(_bind, text, vector, own_names, deps)


def _vector(data: bytes) -> Vectors | None:
    if not data:
        return None
    if len(data) != 4 * DIMENSIONS:
        raise Rejected(f"vector has {len(data)} bytes, not {4 * DIMENSIONS}")
    vector = np.frombuffer(data, dtype="<f4")
    if not np.isfinite(vector).all():
        raise Rejected("vector holds numbers that are not finite")
    return vector


def _bind(text: str, vector: Vectors | None, own_names: frozenset[str], deps: Deps) -> list[Hit]:
    """Search; without a vector, embed first."""
    query = deps.embedder.embed([text])[0] if vector is None else vector
    return deps.index.bind(text, query, min_k=deps.min_k, max_k=deps.max_k, hidden=own_names)
