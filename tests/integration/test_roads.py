"""The longer roads through the pipeline over a real nats-server: copies, plans, second opinions."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from decimal import Decimal
from functools import partial
from typing import Any

import pytest

from pointsman.contracts.chat import Answer, FunctionCall, ToolCall
from pointsman.contracts.messages import (
    Accept,
    Accepted,
    Classified,
    Classify,
    Completed,
    Event,
    Execute,
    Executed,
    Frame,
    Judge,
    Judged,
)
from pointsman.contracts.parts import Evaluator, RequestContext, Usage, Verdict
from pointsman.contracts.topology import LLM_SHADOW, LLM_WORK
from pointsman.runtime.app import Platform, running
from pointsman.runtime.nats_transport import NatsTransport
from pointsman.runtime.process_bus import ProcessBus
from pointsman.runtime.service import Service
from pointsman.runtime.settings import ServiceSettings
from pointsman.testing.requests import chat, context
from pointsman.testing.stages import LARGE, SMALL, answer_echo, classify_small, scripted_pipeline

WAIT_S = 20
CALL = ToolCall(id="1", function=FunctionCall(name="logs_list", arguments="{}"))

Told = Callable[..., Awaitable[list[Event]]]
Run = Callable[[Sequence[Service[Any]]], AbstractAsyncContextManager[Platform]]


@pytest.fixture(params=["apart", "fused"])
def run(request: pytest.FixtureRequest) -> Run:
    """Run services that send every command over the bus, or that call each other directly."""
    return partial(running, fuse=()) if request.param == "apart" else running


async def ask(bus: ProcessBus, text: str = "hello") -> tuple[RequestContext, Frame]:
    asked = context(ingress=bus.instance)
    with bus.subscribe_frames(asked.request_id) as frames:
        command = Accept(context=asked, request=chat(text), vault_key="")
        await bus.accept(command, Accepted(model="auto", messages=1))
        async with asyncio.timeout(WAIT_S):
            return asked, await frames.get()


def routed(**changes: Any) -> Callable[[Classify], Awaitable[Classified]]:
    """A classifier whose decision differs from the scripted one by ``changes``."""

    async def classify(command: Classify) -> Classified:
        fact = await classify_small(command)
        return fact.model_copy(update={"decision": fact.decision.model_copy(update=changes)})

    return classify


async def test_a_shadow_is_answered_judged_and_booked_and_nobody_waits_for_it(
    bus: ProcessBus, settings: ServiceSettings, run: Run, told: Told, transport: NatsTransport
) -> None:
    seen: list[Execute] = []
    may_answer = asyncio.Event()
    has_answered = asyncio.Event()

    async def answer(command: Execute) -> Executed:
        if command.context.shadow_of is None:
            return await answer_echo(command)
        seen.append(command)
        await may_answer.wait()
        has_answered.set()
        return await answer_echo(command)

    stages = scripted_pipeline(settings, classifier=routed(shadows=(LARGE,)), executor=answer)
    async with run(stages):
        asked, frame = await ask(bus)
        # The answer is here while its shadow is still being written.
        assert isinstance(frame, Completed)
        assert frame.answer.text == f"{SMALL}: hello"
        assert not has_answered.is_set()
        may_answer.set()
        async with asyncio.timeout(WAIT_S):
            await has_answered.wait()
            copy = seen[0].context
            assert copy.shadow_of == asked.request_id
            while (outcome := await bus.outcome(copy)) is None:
                await asyncio.sleep(0.02)
    assert isinstance(outcome, Completed)
    assert (outcome.model, outcome.decision.role) == (LARGE, "shadow")
    events = await told(copy.request_id, facts=3)
    assert {event.fact.type for event in events} == {"executed", "judged", "completed"}
    assert len(seen) == 1
    assert await transport.stream_depth(LLM_SHADOW) == 0
    assert await transport.stream_depth(LLM_WORK) == 0


async def test_a_shadow_that_its_lane_does_not_take_is_dropped_and_the_answer_is_not(
    bus: ProcessBus, settings: ServiceSettings, run: Run, transport: NatsTransport
) -> None:
    lane = (await transport.jetstream.stream_info(LLM_SHADOW)).config
    lane.max_msg_size = 10
    await transport.jetstream.update_stream(lane)
    async with run(scripted_pipeline(settings, classifier=routed(shadows=(LARGE,)))):
        _, frame = await ask(bus)
    assert isinstance(frame, Completed)


async def test_a_plan_is_judged_before_it_is_carried_out(
    bus: ProcessBus, settings: ServiceSettings, run: Run, told: Told
) -> None:
    async def answer(command: Execute) -> Executed:
        if command.plan is not None and command.plan.is_accepted:
            return await answer_echo(command)
        fact = await answer_echo(command)
        planned = Answer(text="", tool_calls=(CALL,), finish_reason="tool_calls")
        return fact.model_copy(update={"status": "planned", "answer": planned})

    async def judge(command: Judge) -> Judged:
        good = not command.is_plan or len(command.history) > 1
        verdict = Verdict(label="accepted" if good else "low", score=9 if good else 3)
        return Judged(
            model="scripted",
            verdict=verdict,
            usage=Usage(model="scripted"),
            is_plan=command.is_plan,
        )

    async with run(scripted_pipeline(settings, executor=answer, judge=judge)):
        asked, frame = await ask(bus)
    assert isinstance(frame, Completed)
    assert [(known.role, known.status) for known in frame.attempts] == [
        ("first", "planned"),
        ("replan", "planned"),
        ("continuation", "succeeded"),
    ]
    events = await told(asked.request_id, facts=10)
    ran = sorted((event.service, event.attempt) for event in events if event.duration_s)
    assert [key for key in ran if key[0] in {"executor", "judge"}] == [
        *(("executor", number) for number in (1, 2, 3)),
        *(("judge", number) for number in (1, 2, 3)),
    ]


async def test_an_unsure_judge_asks_a_sibling_and_both_are_paid_for(
    bus: ProcessBus, settings: ServiceSettings, run: Run
) -> None:
    siblings: list[str] = []

    async def judge(command: Judge) -> Judged:
        siblings.extend(other.answer.text for other in command.siblings)
        verdict = Verdict(label="accepted", score=9)
        if not command.has_asked_sibling:
            verdict = Verdict(label="unsure", score=7, wants_sibling=True)
        return Judged(model="scripted", verdict=verdict, usage=Usage(model="scripted"))

    evaluator = Evaluator(min_score=8, sibling=LARGE)
    stages = scripted_pipeline(settings, classifier=routed(evaluator=evaluator), judge=judge)
    async with run(stages):
        _, frame = await ask(bus)
    assert isinstance(frame, Completed)
    assert (frame.model, frame.answer.text) == (SMALL, f"{SMALL}: hello")
    assert siblings == [f"{LARGE}: hello"]
    assert [known.model for known in frame.attempts] == [SMALL, LARGE]
    paid = sum((known.usage.cost_usd for known in frame.attempts), Decimal(0))
    assert frame.usage.cost_usd == paid
