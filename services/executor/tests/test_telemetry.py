"""What spans say of model and tool calls: names, counts and codes, never words."""

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode

from pointsman.contracts.errors import ErrorCode
from pointsman.executor.domain.failures import ModelFailed
from pointsman.executor.domain.reading import CHUNKS, Reading
from pointsman.executor.telemetry import model_span, tool_span

from .backend import end, usage, words
from .doubles import a_model


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> InMemorySpanExporter:
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr("pointsman.executor.telemetry._tracer", provider.get_tracer("test"))
    return exporter


def test_a_model_call_is_a_span_with_its_usage(spans: InMemorySpanExporter) -> None:
    reading = Reading(lambda: 0)
    with model_span(a_model(served_name="served"), reading):
        written = (words("secret words", model="served-v2"), end(), usage())
        reading.add(CHUNKS.validate_python(written))
    (span,) = spans.get_finished_spans()
    assert span.name == "chat served"
    assert dict(span.attributes or {}) == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "simulated",
        "gen_ai.request.model": "served",
        "gen_ai.response.model": "served-v2",
        "gen_ai.response.finish_reasons": ("stop",),
        "gen_ai.usage.input_tokens": 100,
        "gen_ai.usage.output_tokens": 20,
    }
    assert "secret words" not in span.to_json()


def test_a_failed_model_call_names_its_code(spans: InMemorySpanExporter) -> None:
    with (
        pytest.raises(ModelFailed),
        model_span(a_model(), Reading(lambda: 0)),
    ):
        raise ModelFailed(ErrorCode.UPSTREAM_TIMEOUT, "no answer in time")
    (span,) = spans.get_finished_spans()
    assert span.status.status_code is StatusCode.ERROR
    assert (span.attributes or {})["error.type"] == "upstream_timeout"
    assert span.events == ()


def test_a_tool_call_is_a_span(spans: InMemorySpanExporter) -> None:
    with tool_span("logs_describe"):
        pass
    (span,) = spans.get_finished_spans()
    assert span.name == "execute_tool logs_describe"
    assert (span.attributes or {})["gen_ai.tool.name"] == "logs_describe"
