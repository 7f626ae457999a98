"""GenAI spans and metrics around model and tool calls: names, counts and codes, never content."""

from collections.abc import Generator
from contextlib import contextmanager
from time import perf_counter

from opentelemetry import metrics, trace
from opentelemetry.trace import Span, SpanKind, Status, StatusCode

from pointsman.contracts import telemetry as names
from pointsman.executor.domain.failures import ModelFailed
from pointsman.executor.domain.reading import Reading
from pointsman.routes.registry import Model

_tracer = trace.get_tracer(__name__)
_meter = metrics.get_meter(__name__)
_token_usage = _meter.create_histogram(
    "gen_ai.client.token.usage", unit="{token}", description="Tokens of one model call."
)
_duration = _meter.create_histogram(
    "gen_ai.client.operation.duration", unit="s", description="Duration of one model call."
)


@contextmanager
def model_span(model: Model, reading: Reading) -> Generator[None]:
    """Record one model call; what ``reading`` holds at the end is its usage."""
    attributes = {
        names.GEN_AI_OPERATION: "chat",
        names.GEN_AI_PROVIDER: model.provider,
        names.GEN_AI_REQUEST_MODEL: model.backend_name,
    }
    started = perf_counter()
    with _tracer.start_as_current_span(
        f"chat {model.backend_name}",
        kind=SpanKind.CLIENT,
        attributes=attributes,
        record_exception=False,
        set_status_on_exception=False,
    ) as span:
        try:
            yield
        except ModelFailed as failure:
            span.set_attribute("error.type", failure.code)
            span.set_status(Status(StatusCode.ERROR, failure.reason))
            raise
        finally:
            _describe(span, reading)
            _duration.record(perf_counter() - started, attributes)
            tokens = reading.tokens
            for kind, count in (("input", tokens.input), ("output", tokens.output)):
                _token_usage.record(count, {**attributes, "gen_ai.token.type": kind})


def _describe(span: Span, reading: Reading) -> None:
    tokens = reading.tokens
    span.set_attribute(names.GEN_AI_INPUT_TOKENS, tokens.input)
    span.set_attribute(names.GEN_AI_OUTPUT_TOKENS, tokens.output)
    if reading.has_finished:
        span.set_attribute(names.GEN_AI_FINISH_REASONS, (reading.finish_reason,))
    if reading.response_model is not None:
        span.set_attribute(names.GEN_AI_RESPONSE_MODEL, reading.response_model)


@contextmanager
def tool_span(name: str) -> Generator[Span]:
    """Record one tool call."""
    with _tracer.start_as_current_span(
        f"execute_tool {name}",
        attributes={names.GEN_AI_OPERATION: "execute_tool", names.GEN_AI_TOOL_NAME: name},
        record_exception=False,
        set_status_on_exception=False,
    ) as span:
        yield span
