"""All stages in one process over FastStream's in-memory broker: the wiring, not the delivery."""

import json

from opentelemetry import trace
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
from pointsman.runtime.settings import ServiceSettings
from pointsman.runtime.wiring import asyncapi, in_memory
from pointsman.testing.requests import chat, context
from pointsman.testing.stages import scripted_pipeline


async def test_command_goes_from_stage_to_stage_and_the_client_hears_the_end() -> None:
    async with in_memory(scripted_pipeline(ServiceSettings())) as (bus, transport):
        asked = context(ingress=bus.instance)
        with bus.subscribe_frames(asked.request_id) as frames:
            command = Accept(context=asked, request=chat("hello"), vault_key="")
            await bus.accept(command, Accepted(model="auto", messages=1))
            frame = frames.get_nowait()
    assert isinstance(frame, Completed)
    assert frame.answer.text == "small: hello"
    assert [subject for stream, subject, _ in transport.stored if stream == "LLM_WORK"] == [
        "llm.work.safety",
        "llm.work.classifier",
        "llm.work.executor",
        "llm.work.judge",
    ]


async def test_blocked_prompt_never_reaches_the_model() -> None:
    async def block(command: CheckSafety) -> SafetyChecked:
        return SafetyChecked(is_blocked=True, message="no")

    async with in_memory(scripted_pipeline(ServiceSettings(), safety=block)) as (bus, transport):
        asked = context(ingress=bus.instance)
        with bus.subscribe_frames(asked.request_id) as frames:
            command = Accept(context=asked, request=chat("attack"), vault_key="")
            await bus.accept(command, Accepted(model="auto", messages=1))
            frame = frames.get_nowait()
    assert isinstance(frame, Blocked)
    subjects = [subject for _, subject, _ in transport.stored]
    assert "llm.work.executor" not in subjects
    assert "llm.work.classifier" not in subjects


async def test_one_trace_crosses_every_hop() -> None:
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    async with in_memory(scripted_pipeline(ServiceSettings())) as (bus, _):
        asked = context(ingress=bus.instance)
        with trace.get_tracer("client").start_as_current_span("client") as root:
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
