"""What the judge says, and what it never says."""

import threading
from collections.abc import Callable
from typing import cast

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from pointsman.contracts.errors import Rejected
from pointsman.contracts.messages import Judge
from pointsman.contracts.wire import redacted_json
from pointsman.judge.adapters import INLINE_CHARS, RulesScorer
from pointsman.judge.app import build
from pointsman.judge.domain import JudgeUnavailable, Score
from pointsman.judge.handler import Deps, judge
from pointsman.judge.settings import Settings
from pointsman.runtime.bus import Bus

MakeCommand = Callable[..., Judge]
RULES = Deps(scorer=RulesScorer())
QUESTION = "What is a Kubernetes pod? How does horizontal autoscaling choose replicas?"
INCOMPLETE = "A pod is the smallest thing that Kubernetes schedules; containers share its address."


class BrokenScorer:
    async def score(self, command: Judge) -> Score:
        raise JudgeUnavailable("no answer from the judge's model")


class RecordingScorer(RulesScorer):
    """The rules, and the thread that each score was made in."""

    def __init__(self) -> None:
        self.threads: list[threading.Thread] = []

    def assess(self, command: Judge) -> Score:
        self.threads.append(threading.current_thread())
        return super().assess(command)


async def test_a_good_answer_is_accepted_and_costs_nothing(command: MakeCommand) -> None:
    fact = await judge(command("What is the capital of France?", "Paris."), deps=RULES)

    assert (fact.model, fact.verdict.label, fact.verdict.score) == ("m-small", "accepted", 10.0)
    assert (fact.usage.model, fact.usage.cost_usd, fact.usage.model_calls) == ("rules", 0, 0)


async def test_the_same_command_gets_the_same_fact(command: MakeCommand) -> None:
    made = command(QUESTION, INCOMPLETE)

    assert await judge(made, deps=RULES) == await judge(made, deps=RULES)


@pytest.mark.parametrize(("min_score", "label"), [(5.0, "accepted"), (5.1, "low")])
async def test_min_score_is_the_routes(command: MakeCommand, min_score: float, label: str) -> None:
    made = command(QUESTION, INCOMPLETE, min_score=min_score)

    fact = await judge(made, deps=RULES)

    assert (fact.verdict.label, fact.verdict.score) == (label, 5.0)


async def test_a_failing_judge_says_unjudged_and_makes_up_no_score(command: MakeCommand) -> None:
    fact = await judge(command(QUESTION, INCOMPLETE), deps=Deps(scorer=BrokenScorer()))

    assert (fact.verdict.label, fact.verdict.score) == ("unjudged", None)
    assert fact.verdict.checks == ()


async def test_a_route_without_evaluator_has_nothing_to_judge(command: MakeCommand) -> None:
    with pytest.raises(Rejected):
        await judge(command(QUESTION, INCOMPLETE, min_score=None), deps=RULES)


@pytest.mark.parametrize(
    ("answer", "fields", "is_inline"),
    [
        ("Paris.", {}, True),
        ("Paris. " * (INLINE_CHARS // 7 + 1), {}, False),
        ("{}", {"response_format": {"type": "json_object"}}, True),
        ("{}", {"response_format": {"type": "json_schema", "json_schema": {"schema": {}}}}, False),
    ],
    ids=["short", "long", "JSON", "JSON with a schema"],
)
async def test_only_what_takes_long_leaves_the_event_loop(
    command: MakeCommand, answer: str, fields: dict[str, object], is_inline: bool
) -> None:
    """The same score either way; a thread is worth its cost only for long texts."""
    made = command("What is the capital of France?", answer, **fields)
    scorer = RecordingScorer()

    assert await scorer.score(made) == RulesScorer().assess(made)
    assert (scorer.threads == [threading.current_thread()]) is is_inline


async def test_the_critique_is_no_part_of_the_published_fact(command: MakeCommand) -> None:
    fact = await judge(command(QUESTION, INCOMPLETE), deps=RULES)

    assert "autoscaling" in fact.verdict.critique
    assert "autoscaling" not in redacted_json(fact).decode()


@pytest.mark.parametrize(
    ("scorer", "label", "score"), [(RulesScorer(), "low", 5.0), (BrokenScorer(), "unjudged", None)]
)
async def test_the_result_is_on_the_span_without_any_words(
    command: MakeCommand, scorer: RulesScorer | BrokenScorer, label: str, score: float | None
) -> None:
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))

    with provider.get_tracer("test").start_as_current_span("process"):
        await judge(command(QUESTION, INCOMPLETE), deps=Deps(scorer=scorer))

    [span] = exporter.get_finished_spans()
    [event] = span.events
    found = dict(event.attributes or {})
    assert event.name == "gen_ai.evaluation.result"
    assert found["gen_ai.evaluation.score.label"] == label
    assert found.get("gen_ai.evaluation.score.value") == score
    assert "autoscaling" not in span.to_json()


async def test_the_service_is_put_together(command: MakeCommand) -> None:
    service = build(Settings())

    async with service.resources(cast("Bus", object())) as deps:  # the judge asks nothing of it
        fact = await service.handle(command("What is the capital of France?", "Paris."), deps=deps)

    assert (service.name, fact.type) == ("judge", "judged")
