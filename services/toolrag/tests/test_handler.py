import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from pydantic import ValidationError

from pointsman.contracts.chat import (
    ChatRequest,
    FunctionDefinition,
    JsonObject,
    Message,
    ToolDefinition,
)
from pointsman.contracts.errors import Rejected
from pointsman.contracts.messages import RetrieveTools
from pointsman.contracts.parts import RequestContext, RouteDecision, Signals
from pointsman.runtime.bus import Bus
from pointsman.toolrag.app import build
from pointsman.toolrag.domain import Hit, ToolIndex, Vectors
from pointsman.toolrag.handler import Deps, retrieve_tools
from pointsman.toolrag.settings import Settings

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def command(
    text: str,
    vector: bytes = b"",
    *,
    tools: tuple[ToolDefinition, ...] | None = None,
    tool_choice: str | JsonObject | None = None,
) -> RetrieveTools:
    return RetrieveTools(
        context=RequestContext(
            request_id="00000000-0000-0000-0000-000000000001",
            namespace="test",
            ingress="i",
            accepted_at=NOW,
            deadline=NOW + timedelta(minutes=1),
        ),
        request=ChatRequest(
            model="auto",
            messages=(Message(role="user", content=text),),
            tools=tools,
            tool_choice=tool_choice,
        ),
        signals=Signals(
            intent="complex", domain="security", complexity=0.8, urgency="normal", safety="safe"
        ),
        decision=RouteDecision(
            route="r", revision="1", target="t", model="m", reason="", use_tools=True
        ),
        vector=vector,
    )


@pytest.fixture
def deps(small_index: ToolIndex, embedder: Any) -> Deps:
    return Deps(index=small_index, embedder=embedder, min_k=3, max_k=8)


@pytest.fixture
def vector_of(embed_one: Callable[[str], Vectors]) -> Callable[[str], bytes]:
    return lambda text: embed_one(text).astype("<f4").tobytes()


async def test_fact_carries_the_bound_tools_and_what_they_save(
    deps: Deps, vector_of: Callable[[str], bytes]
) -> None:
    text = "Audit all cluster security logs"
    fact = await retrieve_tools(command(text, vector_of(text)), deps=deps)
    tokens = {tool.tool_id: tool.tokens for tool in deps.index.catalogue.tools}
    assert 3 <= len(fact.tools) <= 8
    assert fact.tool_ids == tuple(tool.tool_id for tool in fact.tools)
    assert fact.bound_tokens == sum(tokens[tool_id] for tool_id in fact.tool_ids)
    assert fact.catalogue_tools == len(tokens)
    assert fact.catalogue_tokens == sum(tokens.values())
    assert all(tool.definition.function.parameters for tool in fact.tools)


async def test_vector_of_the_command_is_used_and_nothing_embedded(
    deps: Deps, embedder: Any, vector_of: Callable[[str], bytes]
) -> None:
    fact = await retrieve_tools(command("zzz", vector_of("list nodegroups")), deps=deps)
    assert "eks.ListNodegroups" in fact.tool_ids
    assert embedder.calls == 0


async def test_request_without_vector_is_embedded(
    deps: Deps, embedder: Any, vector_of: Callable[[str], bytes]
) -> None:
    text = "List all node groups"
    without = await retrieve_tools(command(text), deps=deps)
    assert embedder.calls == 1
    assert without == await retrieve_tools(command(text, vector_of(text)), deps=deps)


async def test_second_delivery_gives_the_same_fact(
    deps: Deps, vector_of: Callable[[str], bytes]
) -> None:
    text = "Which log groups have no retention?"
    twice = [await retrieve_tools(command(text, vector_of(text)), deps=deps) for _ in range(2)]
    assert twice[0] == twice[1]


@pytest.mark.parametrize(
    "vector", [b"abc", b"\0" * 4 * 383, np.full(384, np.nan, dtype="<f4").tobytes()]
)
async def test_vector_of_another_model_is_rejected(deps: Deps, vector: bytes) -> None:
    with pytest.raises(Rejected, match="vector"):
        await retrieve_tools(command("list clusters", vector), deps=deps)


async def test_client_that_wants_no_tools_gets_none(deps: Deps) -> None:
    fact = await retrieve_tools(command("List clusters", tool_choice="none"), deps=deps)
    assert fact.tools == ()
    assert fact.catalogue_tokens == deps.index.tokens


async def test_request_without_words_binds_nothing(deps: Deps) -> None:
    assert (await retrieve_tools(command("  "), deps=deps)).tools == ()


async def test_name_of_a_client_tool_is_not_bound_again(deps: Deps) -> None:
    own = ToolDefinition(function=FunctionDefinition(name="eks_list_clusters"))
    fact = await retrieve_tools(command("List all clusters", tools=(own,)), deps=deps)
    assert "eks.ListClusters" not in fact.tool_ids


@pytest.mark.parametrize(
    ("with_vector", "length", "limit", "is_inline"),
    [
        (True, 100, 8_000, True),
        (True, 100, 10, False),
        (True, 5_000, 8_000, False),
        (False, 100, 8_000, False),
    ],
)
async def test_only_a_quick_search_holds_the_event_loop(
    deps: Deps,
    vector_of: Callable[[str], bytes],
    monkeypatch: pytest.MonkeyPatch,
    with_vector: bool,
    length: int,
    limit: int,
    is_inline: bool,
) -> None:
    searched_by: list[int] = []

    class Watched(ToolIndex):
        def bind(self, *args: Any, **kwargs: Any) -> list[Hit]:
            searched_by.append(threading.get_ident())
            return super().bind(*args, **kwargs)

    monkeypatch.setattr("pointsman.toolrag.handler.INLINE_TOOLS", limit)
    text = ("list all clusters " * length)[:length]
    vector = vector_of(text) if with_vector else b""
    watched = replace(deps, index=Watched(deps.index.catalogue))
    fact = await retrieve_tools(command(text, vector), deps=watched)
    assert fact == await retrieve_tools(command(text, vector), deps=deps)
    assert (searched_by == [threading.get_ident()]) is is_inline


async def test_service_starts_from_a_built_catalogue(
    full_folder: Path, vector_of: Callable[[str], bytes]
) -> None:
    service = build(Settings(catalogue_dir=full_folder))
    text = "Audit all cluster security logs"
    async with service.resources(cast(Bus, object())) as deps:
        fact = await retrieve_tools(command(text, vector_of(text)), deps=deps)
    assert len({tool_id.split(".")[0] for tool_id in fact.tool_ids}) >= 3
    assert fact.catalogue_tokens - fact.bound_tokens >= 90_000


def test_importing_the_app_loads_no_model_library() -> None:
    code = (
        "import sys, pointsman.toolrag.app;"
        "heavy = {'torch', 'sentence_transformers', 'onnxruntime', 'tokenizers', 'botocore'};"
        "sys.exit(', '.join(heavy & set(sys.modules)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr.strip() == ""
    assert done.returncode == 0


def test_empty_range_of_tools_names_the_variables() -> None:
    with pytest.raises(ValidationError, match="TOOLRAG_MIN_K"):
        Settings(min_k=9, max_k=8)
