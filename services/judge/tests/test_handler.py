"""What the judge says, and what it never says."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import cast

import numpy as np
import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from pointsman.contracts.chat import Answer
from pointsman.contracts.errors import Rejected
from pointsman.contracts.messages import Judge
from pointsman.contracts.parts import Candidate, Evaluator, Usage
from pointsman.contracts.wire import redacted_json
from pointsman.judge.adapters import INLINE_CHARS, CheapLayers, load_heads
from pointsman.judge.app import build
from pointsman.judge.domain import Assessment, Heads, JudgeUnavailable
from pointsman.judge.domain.rubric import CriticFailed, Mark, Review, Reviewed
from pointsman.judge.handler import Deps, judge
from pointsman.judge.settings import Settings, critic_keys
from pointsman.routes.registry import ModelRegistry
from pointsman.runtime.bus import Bus
from pointsman.scorers.scorer_file import InvalidScorerFile, write_scorer

from .critic_running import a_critic_model

MakeCommand = Callable[..., Judge]
HEADS = load_heads()
CHEAP = Deps(scorer=CheapLayers(HEADS))
QUESTION = "What is a Kubernetes pod? How does horizontal autoscaling choose replicas?"
INCOMPLETE = "A pod is the smallest thing that Kubernetes schedules; containers share its address."


class BrokenScorer:
    async def score(self, command: Judge) -> Assessment:
        raise JudgeUnavailable("no answer from the judge's model")


class FixedScorer:
    """Says the same of every answer."""

    def __init__(self, log_odds: float, cap: float = 10.0) -> None:
        self._said = Assessment(log_odds=log_odds, cap=cap)

    async def score(self, command: Judge) -> Assessment:
        return self._said


class RecordingLayers(CheapLayers):
    """The cheap layers, and the thread that each was asked in."""

    def __init__(self, heads: Heads) -> None:
        super().__init__(heads)
        self.threads: list[threading.Thread] = []

    def assess(self, command: Judge) -> Assessment:
        self.threads.append(threading.current_thread())
        return super().assess(command)


class ScriptedCritic:
    """Gives one probability, or fails; remembers what it was asked to review."""

    def __init__(self, probability: float | None) -> None:
        self._probability = probability
        self.asked: list[tuple[str, str]] = []

    async def review(self, command: Judge, *, model: str) -> Reviewed:
        return self._said("answer", model)

    async def review_plan(self, command: Judge, *, model: str) -> Reviewed:
        return self._said("plan", model)

    def _said(self, kind: str, model: str) -> Reviewed:
        self.asked.append((kind, model))
        usage = Usage(model=model, input_tokens=900, model_calls=1)
        if self._probability is None:
            raise CriticFailed("no readable review", usage=usage)
        mark = Mark(name="accuracy", score=1, best=3, reason="The second step is wrong.")
        review = Review(marks=(mark,), score=5.0, is_capped=False, probability=self._probability)
        return Reviewed(review=review, usage=usage)


def within_route(command: Judge, **fields: object) -> Judge:
    """The command with more in its route's evaluator."""
    evaluator = Evaluator.model_validate({"min_score": 8.0, **fields})
    decision = command.decision.model_copy(update={"evaluator": evaluator})
    return command.model_copy(update={"decision": decision})


async def test_a_good_answer_is_accepted_and_costs_nothing(command: MakeCommand) -> None:
    fact = await judge(command("What is the capital of France?", "Paris."), deps=CHEAP)

    assert (fact.model, fact.verdict.label) == ("m-small", "accepted")
    assert fact.verdict.probability is not None
    assert fact.verdict.probability > 0.65
    assert (fact.usage.model, fact.usage.cost_usd, fact.usage.model_calls) == ("rules", 0, 0)


async def test_the_same_command_gets_the_same_fact(command: MakeCommand) -> None:
    made = command(QUESTION, INCOMPLETE)

    assert await judge(made, deps=CHEAP) == await judge(made, deps=CHEAP)


@pytest.mark.parametrize(("min_score", "label"), [(5.0, "accepted"), (5.1, "low")])
async def test_min_score_is_the_routes(command: MakeCommand, min_score: float, label: str) -> None:
    made = command(QUESTION, INCOMPLETE, min_score=min_score)

    fact = await judge(made, deps=CHEAP)

    assert (fact.verdict.label, fact.verdict.score) == (label, 5.0)


async def test_a_failing_judge_says_unjudged_and_makes_up_no_score(command: MakeCommand) -> None:
    fact = await judge(command(QUESTION, INCOMPLETE), deps=Deps(scorer=BrokenScorer()))

    assert (fact.verdict.label, fact.verdict.score) == ("unjudged", None)
    assert fact.verdict.checks == ()


async def test_a_route_without_evaluator_has_nothing_to_judge(command: MakeCommand) -> None:
    with pytest.raises(Rejected):
        await judge(command(QUESTION, INCOMPLETE, min_score=None), deps=CHEAP)


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
    scorer = RecordingLayers(HEADS)

    assert await scorer.score(made) == CheapLayers(HEADS).assess(made)
    assert (scorer.threads == [threading.current_thread()]) is is_inline


async def test_the_critique_is_no_part_of_the_published_fact(command: MakeCommand) -> None:
    fact = await judge(command(QUESTION, INCOMPLETE), deps=CHEAP)

    assert "autoscaling" in fact.verdict.critique
    assert "autoscaling" not in redacted_json(fact).decode()


@pytest.mark.parametrize(
    ("scorer", "label", "score"),
    [(CheapLayers(HEADS), "low", 5.0), (BrokenScorer(), "unjudged", None)],
)
async def test_the_result_is_on_the_span_without_any_words(
    command: MakeCommand, scorer: CheapLayers | BrokenScorer, label: str, score: float | None
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


@pytest.mark.parametrize(
    ("log_odds", "cap", "label"),
    [
        (0.7, 10.0, "accepted"),
        (0.5, 10.0, "unsure"),
        (-0.5, 10.0, "unsure"),
        (-0.7, 10.0, "low"),
        (5.0, 7.9, "low"),
        (0.0, 7.9, "low"),
        (0.0, 8.0, "unsure"),
    ],
)
async def test_unsure_is_where_the_cheap_layers_cannot_tell_and_no_rule_did(
    command: MakeCommand, log_odds: float, cap: float, label: str
) -> None:
    fact = await judge(command(QUESTION), deps=Deps(scorer=FixedScorer(log_odds, cap)))

    assert fact.verdict.label == label
    assert fact.verdict.score is not None
    assert fact.verdict.score <= cap


async def test_an_unsure_verdict_asks_for_a_sibling_once_and_before_the_critic(
    command: MakeCommand,
) -> None:
    critic = ScriptedCritic(0.95)
    deps = Deps(scorer=FixedScorer(0.0), critic=critic)
    made = within_route(command(QUESTION), sibling="m-other", critic="m-critic")

    first = await judge(made, deps=deps)
    again = await judge(made.model_copy(update={"has_asked_sibling": True}), deps=deps)

    assert (first.verdict.label, first.verdict.wants_sibling) == ("unsure", True)
    assert (again.verdict.label, again.verdict.wants_sibling) == ("accepted", False)
    assert critic.asked == [("answer", "m-critic")]
    assert again.usage.model == "m-critic"


@pytest.mark.parametrize(
    ("probability", "label"), [(0.95, "accepted"), (0.05, "low"), (0.5, "unsure")]
)
async def test_the_critic_settles_what_is_unsure(
    command: MakeCommand, probability: float, label: str
) -> None:
    deps = Deps(scorer=FixedScorer(0.0), critic=ScriptedCritic(probability))

    fact = await judge(within_route(command(QUESTION), critic="m-critic"), deps=deps)

    assert fact.verdict.label == label
    assert "The second step is wrong." in fact.verdict.critique
    assert {check.name for check in fact.verdict.checks} == {"critic_accuracy"}
    assert fact.usage.input_tokens == 900


@pytest.mark.parametrize("log_odds", [2.0, -2.0])
async def test_the_critic_is_not_asked_what_the_cheap_layers_know(
    command: MakeCommand, log_odds: float
) -> None:
    critic = ScriptedCritic(0.5)
    deps = Deps(scorer=FixedScorer(log_odds), critic=critic)

    await judge(within_route(command(QUESTION), critic="m-critic"), deps=deps)
    await judge(command(QUESTION), deps=Deps(scorer=FixedScorer(0.0), critic=critic))

    assert critic.asked == []


@pytest.mark.parametrize(("critic", "paid"), [(ScriptedCritic(None), 900), (None, 0)])
async def test_a_critic_that_fails_leaves_what_the_cheap_layers_said(
    command: MakeCommand, critic: ScriptedCritic | None, paid: int
) -> None:
    made = within_route(command(QUESTION), critic="m-critic")

    fact = await judge(made, deps=Deps(scorer=FixedScorer(0.1), critic=critic))
    alone = await judge(command(QUESTION), deps=Deps(scorer=FixedScorer(0.1)))

    assert fact.verdict.reasons == ("critic_unavailable",)
    assert (fact.verdict.label, fact.verdict.score) == ("unsure", alone.verdict.score)
    assert fact.usage.input_tokens == paid


async def test_a_plan_is_reviewed_as_a_plan(command: MakeCommand) -> None:
    critic = ScriptedCritic(0.95)
    made = within_route(command(QUESTION), critic="m-critic", sibling="m-other")

    fact = await judge(
        made.model_copy(update={"is_plan": True}),
        deps=Deps(scorer=FixedScorer(0.0), critic=critic),
    )

    assert (fact.is_plan, fact.verdict.wants_sibling) == (True, False)
    assert critic.asked == [("plan", "m-critic")]


async def test_a_sibling_that_ends_alike_raises_the_probability(command: MakeCommand) -> None:
    made = command("What is 7 times 8?", "The answer is 56.").model_copy(
        update={"has_asked_sibling": True}
    )

    async def chance(text: str | None) -> float:
        said = () if text is None else (Candidate(model="m-other", answer=Answer(text=text)),)
        fact = await judge(made.model_copy(update={"siblings": said}), deps=CHEAP)
        assert fact.verdict.probability is not None
        return fact.verdict.probability

    assert await chance("It is 56.") > await chance(None) > await chance("The answer is 54.")


def test_heads_that_are_absent_or_broken_refuse_the_start(tmp_path: Path) -> None:
    with pytest.raises(InvalidScorerFile, match=r"support\.npz"):
        build(Settings(heads_dir=tmp_path))
    write_scorer(tmp_path / "support.npz", {"grounded": np.zeros(3)})
    with pytest.raises(InvalidScorerFile, match="not this version's weights"):
        build(Settings(heads_dir=tmp_path))


def test_only_keys_that_are_there_are_held() -> None:
    models = [
        a_critic_model("http://127.0.0.1:9", api_key_env=name).model_copy(
            update={"id": name, "aliases": ()}
        )
        for name in ("HELD", "EMPTY", "ABSENT")
    ]
    registry = ModelRegistry(models=tuple(models))

    keys = critic_keys(registry, {"HELD": "k1", "EMPTY": " ", "OTHER": "k2"})

    assert {name: key.get_secret_value() for name, key in keys.items()} == {"HELD": "k1"}


async def test_a_registry_gives_the_service_a_critic(command: MakeCommand, tmp_path: Path) -> None:
    path = tmp_path / "models.yaml"
    registry = ModelRegistry(models=(a_critic_model("http://127.0.0.1:9"),))
    path.write_text(registry.model_dump_json(by_alias=True, exclude_none=True))

    for registry_path, is_there in ((path, True), (None, False)):
        service = build(Settings(registry_path=registry_path))
        async with service.resources(cast("Bus", object())) as deps:
            assert (deps.critic is not None) is is_there


async def test_the_service_is_put_together(command: MakeCommand) -> None:
    service = build(Settings())

    async with service.resources(cast("Bus", object())) as deps:  # the judge asks nothing of it
        fact = await service.handle(command("What is the capital of France?", "Paris."), deps=deps)

    assert (service.name, fact.type) == ("judge", "judged")


async def test_the_better_of_two_answers_is_the_one_judged(command: MakeCommand) -> None:
    broken = command("Explain what a cache is. Use one sentence.", "cache cache cache cache " * 40)
    good = Answer(text="A cache keeps what was asked for before, so that it is there at once.")
    asked = broken.model_copy(
        update={
            "siblings": (Candidate(model="m-other", answer=good),),
            "has_asked_sibling": True,
        }
    )

    alone = (await judge(broken, deps=CHEAP)).verdict
    verdict = (await judge(asked, deps=CHEAP)).verdict

    assert (alone.label, alone.prefers_sibling) == ("low", False)
    assert (verdict.label, verdict.prefers_sibling) == ("accepted", True)
    assert not any(not check.passed for check in verdict.checks), "they are of the better answer"


async def test_a_second_answer_that_is_no_better_changes_nothing(command: MakeCommand) -> None:
    good = command("What is 7 times 8?", "The answer is 56.")
    empty = Candidate(model="m-other", answer=Answer(text="I cannot help with that."))

    fact = await judge(
        good.model_copy(update={"siblings": (empty,), "has_asked_sibling": True}), deps=CHEAP
    )

    assert not fact.verdict.prefers_sibling


def test_what_a_critic_said_is_kept_because_it_was_paid_for(command: MakeCommand) -> None:
    service = build(Settings())
    plain = command("What is 7 times 8?", "56")

    assert not service.is_memoized(plain)
    assert service.is_memoized(within_route(plain, critic="m-critic"))
