"""What is told of a critic's calls: names, counts and codes, never words."""

import json
from collections.abc import AsyncGenerator, Callable

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode

from pointsman.contracts.messages import Judge

from .critic_backend import (
    Backend,
    Reply,
    fails,
    running_backend,
    says,
)
from .critic_running import ANSWERED, CRITIC, GOOD, QUESTION, a_critic, failure, within

MakeCommand = Callable[..., Judge]


@pytest.fixture
async def backend() -> AsyncGenerator[Backend]:
    async with running_backend() as server:
        yield server


@pytest.fixture
def made(command: MakeCommand) -> Judge:
    return within(command(QUESTION, ANSWERED), 30)


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> InMemorySpanExporter:
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(
        "pointsman.judge.adapters.critic_calls._tracer", provider.get_tracer("test")
    )
    return exporter


async def test_each_call_is_a_span_without_words(
    backend: Backend, made: Judge, spans: InMemorySpanExporter
) -> None:
    backend.will(says(json.dumps(GOOD)))
    async with a_critic(backend.url) as critic:
        reviewed = await critic.review(made, model=CRITIC)
    (span,) = spans.get_finished_spans()
    assert span.name == "chat served"
    assert dict(span.attributes or {}) == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "test",
        "gen_ai.request.model": "served",
        "gen_ai.response.model": "served-v2",
        "gen_ai.response.finish_reasons": ("stop",),
        "gen_ai.usage.input_tokens": 100,
        "gen_ai.usage.output_tokens": 20,
    }
    told = f"{span.to_json()} {reviewed}"
    assert "score=9" in told
    assert not any(word in told for word in ("zebrafish", "marmoset"))


@pytest.mark.parametrize("reply", [fails(500), says("marmoset"), says('{"zebrafish": "marmoset"}')])
async def test_no_word_reaches_an_exception_or_a_span(
    backend: Backend, made: Judge, spans: InMemorySpanExporter, reply: Reply
) -> None:
    backend.will(reply)
    failed = await failure(backend.url, made)
    error: BaseException | None = failed
    told = "".join(span.to_json() for span in spans.get_finished_spans())
    while error is not None:
        told += f"{error!r} {error}"
        error = error.__cause__ or error.__context__
    assert not any(word in told for word in ("zebrafish", "marmoset", "secret"))


async def test_a_failed_call_names_its_code(
    backend: Backend, made: Judge, spans: InMemorySpanExporter
) -> None:
    backend.will(fails(429))
    await failure(backend.url, made)
    (span,) = spans.get_finished_spans()
    assert span.status.status_code is StatusCode.ERROR
    assert (span.attributes or {})["error.type"] == "upstream_rate_limited"
    assert span.events == ()
