"""All stages in one process over FastStream's in-memory broker: the wiring, not the delivery."""

import json
from collections.abc import Collection

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from pointsman.contracts.messages import (
    Accept,
    Accepted,
    Blocked,
    CheckSafety,
    Completed,
    SafetyChecked,
)
from pointsman.contracts.parts import ServiceName
from pointsman.contracts.topology import WORKERS
from pointsman.runtime import observability
from pointsman.runtime.settings import ServiceSettings
from pointsman.runtime.wiring import asyncapi, in_memory
from pointsman.testing.requests import chat, context
from pointsman.testing.stages import scripted_pipeline

SHAPES = pytest.mark.parametrize("fuse", [(), WORKERS], ids=["apart", "fused"])


@SHAPES
async def test_command_goes_from_stage_to_stage_and_the_client_hears_the_end(
    fuse: Collection[ServiceName],
) -> None:
    async with in_memory(scripted_pipeline(ServiceSettings()), fuse=fuse) as (bus, transport):
        asked = context(ingress=bus.instance)
        with bus.subscribe_frames(asked.request_id) as frames:
            command = Accept(context=asked, request=chat("hello"), vault_key="")
            await bus.accept(command, Accepted(model="auto", messages=1))
            frame = frames.get_nowait()
    assert isinstance(frame, Completed)
    assert frame.answer.text == "small: hello"
    stored = [subject for stream, subject, _ in transport.stored if stream == "LLM_WORK"]
    assert stored == (
        ["llm.work.safety"]
        if fuse
        else ["llm.work.safety", "llm.work.classifier", "llm.work.executor", "llm.work.judge"]
    )


async def test_only_the_named_stages_are_called_directly() -> None:
    services = scripted_pipeline(ServiceSettings())
    async with in_memory(services, fuse=("safety", "classifier", "toolrag")) as (bus, transport):
        command = Accept(context=context(ingress=bus.instance), request=chat("hello"), vault_key="")
        await bus.accept(command, Accepted(model="auto", messages=1))
    stored = [subject for stream, subject, _ in transport.stored if stream == "LLM_WORK"]
    assert stored == ["llm.work.safety", "llm.work.executor", "llm.work.judge"]


@SHAPES
async def test_blocked_prompt_never_reaches_the_model(fuse: Collection[ServiceName]) -> None:
    async def block(command: CheckSafety) -> SafetyChecked:
        return SafetyChecked(is_blocked=True, message="no")

    services = scripted_pipeline(ServiceSettings(), safety=block)
    async with in_memory(services, fuse=fuse) as (bus, transport):
        asked = context(ingress=bus.instance)
        with bus.subscribe_frames(asked.request_id) as frames:
            command = Accept(context=asked, request=chat("attack"), vault_key="")
            await bus.accept(command, Accepted(model="auto", messages=1))
            frame = frames.get_nowait()
    assert isinstance(frame, Blocked)
    subjects = [subject for _, subject, _ in transport.stored]
    assert subjects[0] == "llm.work.safety"
    assert {"llm.work.executor", "llm.work.classifier"}.isdisjoint(subjects)
    assert not any(subject.startswith("llm.event.executor") for subject in subjects)


@SHAPES
async def test_one_trace_crosses_every_hop(
    fuse: Collection[ServiceName], monkeypatch: pytest.MonkeyPatch
) -> None:
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(observability, "tracer", provider.get_tracer("pointsman.runtime"))
    async with in_memory(scripted_pipeline(ServiceSettings()), fuse=fuse) as (bus, _):
        asked = context(ingress=bus.instance)
        with provider.get_tracer("client").start_as_current_span("client") as root:
            command = Accept(context=asked, request=chat("hello"), vault_key="")
            await bus.accept(command, Accepted(model="auto", messages=1))
    spans = [s for s in exporter.get_finished_spans() if s.name.startswith("process llm.work.")]
    assert {span.name.rsplit(".", 1)[-1] for span in spans} == {
        "safety",
        "classifier",
        "executor",
        "judge",
    }
    assert {s.context.trace_id for s in spans if s.context} == {root.get_span_context().trace_id}
    for span in spans:
        assert (span.attributes or {})["pointsman.request.id"] == asked.request_id
        assert "hello" not in json.dumps(dict(span.attributes or {}), default=str)


def test_asyncapi_document_names_every_consumer() -> None:
    document = json.loads(asyncapi())
    text = json.dumps(document)
    for service in ("safety", "classifier", "toolrag", "executor", "judge"):
        assert f"llm.work.{service}" in text
