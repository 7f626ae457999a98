"""The HTTP edge over a real bus and real sockets, with the official OpenAI client."""

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any, cast

import httpx
import pytest
from openai import AsyncOpenAI, BadRequestError, NotFoundError

from pointsman.contracts.chat import Answer, FunctionCall, ToolCall
from pointsman.contracts.messages import CheckSafety, Execute, Executed, SafetyChecked
from pointsman.contracts.parts import Usage
from pointsman.ingress.app import build
from pointsman.ingress.settings import Settings
from pointsman.runtime import ServiceSettings
from pointsman.runtime.app import running
from pointsman.runtime.child_process import free_port
from pointsman.runtime.embedded_nats import EmbeddedNats
from pointsman.runtime.nats_transport import NatsTransport
from pointsman.runtime.replies import Cancellations
from pointsman.testing.registry import write_registry
from pointsman.testing.stages import answer_echo, scripted_pipeline

WAIT_S = 20


class Edge:
    """A platform of scripted stages behind a real ingress."""

    def __init__(self, tmp_path: Path, nats_url: str) -> None:
        self.port = free_port()
        self.settings = ServiceSettings(nats_url=nats_url)
        self.ingress = build(
            Settings(nats_url=nats_url, registry_path=write_registry(tmp_path), port=self.port)
        )
        self.base_url = f"http://127.0.0.1:{self.port}"
        self.openai = AsyncOpenAI(base_url=f"{self.base_url}/v1", api_key="none", max_retries=0)

    async def ready(self) -> None:
        async with asyncio.timeout(WAIT_S), httpx.AsyncClient() as client:
            while True:
                try:
                    if (await client.get(f"{self.base_url}/readyz")).status_code == 200:
                        return
                except httpx.HTTPError:
                    await asyncio.sleep(0.02)


@pytest.fixture
async def edge(
    tmp_path: Path,
    nats_server: EmbeddedNats,
    transport: NatsTransport,  # provisions
) -> AsyncGenerator[Edge]:
    edge = Edge(tmp_path, nats_server.url)
    yield edge
    await edge.openai.close()


async def test_official_client_chats_streams_and_lists_models(edge: Edge) -> None:
    async with running([edge.ingress, *scripted_pipeline(edge.settings)]):
        await edge.ready()
        messages: Any = [{"role": "user", "content": "hello"}]
        answer = await edge.openai.chat.completions.create(model="auto", messages=messages)
        stream = await edge.openai.chat.completions.create(
            model="auto",
            messages=messages,
            stream=True,
            stream_options={"include_usage": True},
        )
        chunks = [chunk async for chunk in stream]
        models = [model.id async for model in edge.openai.models.list()]
    assert answer.choices[0].message.content == "small: hello"
    assert answer.usage
    assert answer.usage.total_tokens == 15
    text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    assert text == "small: hello"
    assert chunks[-1].usage
    assert chunks[-1].usage.prompt_tokens == 10
    assert models == ["auto", "small", "large"]


async def test_official_client_gets_tool_calls_and_sends_their_results(edge: Edge) -> None:
    async def call_or_answer(command: Execute) -> Executed:
        if command.request.messages[-1].role == "tool":
            return await answer_echo(command)
        assert command.request.tools
        call = ToolCall(
            id="call_1",
            function=FunctionCall(name=command.request.tools[0].function.name, arguments="{}"),
        )
        return Executed(
            status="succeeded",
            model=command.model,
            usage=Usage(model=command.model),
            answer=Answer(tool_calls=(call,), finish_reason="tool_calls"),
        )

    messages: Any = [{"role": "user", "content": "what time is it"}]
    tools: Any = [
        {"type": "function", "function": {"name": "clock", "parameters": {"type": "object"}}}
    ]
    async with running([edge.ingress, *scripted_pipeline(edge.settings, executor=call_or_answer)]):
        await edge.ready()
        first = await edge.openai.chat.completions.create(
            model="auto",
            messages=messages,
            tools=tools,
        )
        said = first.choices[0].message
        assert said.tool_calls
        result: Any = {"role": "tool", "tool_call_id": said.tool_calls[0].id, "content": "noon"}
        second = await edge.openai.chat.completions.create(
            model="auto",
            messages=[*messages, cast("Any", said.model_dump(exclude_none=True)), result],
            tools=tools,
        )
    assert first.choices[0].finish_reason == "tool_calls"
    assert second.choices[0].message.content == "small: what time is it"


async def test_official_client_raises_its_own_errors(edge: Edge) -> None:
    async def block(command: CheckSafety) -> SafetyChecked:
        return SafetyChecked(is_blocked=True, message="Blocked by policy.")

    async with running([edge.ingress, *scripted_pipeline(edge.settings, safety=block)]):
        await edge.ready()
        messages: Any = [{"role": "user", "content": "attack"}]
        with pytest.raises(BadRequestError) as blocked:
            await edge.openai.chat.completions.create(model="auto", messages=messages)
        with pytest.raises(NotFoundError):
            await edge.openai.chat.completions.create(model="nobody", messages=messages)
    assert blocked.value.code == "content_filter"


@pytest.mark.parametrize("stream", [False, True])
async def test_client_that_leaves_cancels_its_request(
    edge: Edge, transport: NatsTransport, stream: bool
) -> None:
    cancellations = Cancellations(transport)
    await cancellations.start()
    working: asyncio.Queue[str] = asyncio.Queue()
    cancelled = asyncio.Event()

    async def work_until_cancelled(command: Execute) -> Executed:
        with cancellations.watch(command.context.request_id) as gone:
            working.put_nowait(command.context.request_id)
            await gone.wait()
        cancelled.set()
        return Executed(status="cancelled", model=command.model, usage=Usage(model=command.model))

    body = {
        "model": "auto",
        "stream": stream,
        "messages": [{"role": "user", "content": "a long story"}],
    }
    async with running(
        [edge.ingress, *scripted_pipeline(edge.settings, executor=work_until_cancelled)]
    ):
        await edge.ready()
        async with httpx.AsyncClient() as client, asyncio.timeout(WAIT_S):
            asking = asyncio.create_task(
                client.post(f"{edge.base_url}/v1/chat/completions", json=body, timeout=WAIT_S)
            )
            await working.get()
            asking.cancel()
            await cancelled.wait()


async def test_bus_that_is_away_answers_503_and_readyz_says_so(
    edge: Edge, nats_server: EmbeddedNats
) -> None:
    body = {"model": "auto", "messages": [{"role": "user", "content": "hi"}]}
    async with running([edge.ingress, *scripted_pipeline(edge.settings)]):
        await edge.ready()
        await nats_server.kill()
        async with httpx.AsyncClient(base_url=edge.base_url, timeout=WAIT_S) as client:
            async with asyncio.timeout(WAIT_S):
                while (await client.get("/readyz")).status_code == 200:
                    await asyncio.sleep(0.02)
            refused = await client.post("/v1/chat/completions", json=body)
            assert refused.status_code == 503
            assert "retry-after" in refused.headers
            await nats_server.start()
            await edge.ready()
            answered = await client.post("/v1/chat/completions", json=body)
            assert answered.status_code == 200
