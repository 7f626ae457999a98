"""Plans that are judged before they are carried out, second opinions, and answers that loop."""

import pytest

from pointsman.contracts.chat import Answer
from pointsman.contracts.parts import Candidate, Evaluator, Plan

from .backend import Backend, calls, end, says, streams, usage, words
from .doubles import ScriptedTools, a_call, a_command, a_tool
from .running import run

GATED = Evaluator(min_score=8, plan="gate")
ACCEPTED = Plan(text="Let me look.", tool_calls=(a_call(),), is_accepted=True)
REJECTED = Plan(tool_calls=(a_call(arguments='{"limit": 9}'),), is_accepted=False)


async def test_a_plan_is_handed_over_before_any_tool_runs(backend: Backend) -> None:
    backend.will(calls("logs_describe", '{"limit": 2}'))
    tools = ScriptedTools()
    fact = await run(backend.url, a_command(evaluator=GATED, tools=(a_tool(),)), tools=tools)
    assert (fact.status, tools.asked, fact.tool_runs) == ("planned", [], ())
    (call,) = fact.answer.tool_calls
    assert (call.function.name, call.function.arguments) == ("logs_describe", '{"limit": 2}')
    assert (fact.answer.finish_reason, fact.usage.model_calls) == ("tool_calls", 1)


@pytest.mark.parametrize(
    "evaluator",
    [Evaluator(min_score=8), Evaluator(min_score=8, plan="gate", mode="observe"), None],
    ids=["off", "observe", "no evaluator"],
)
async def test_a_route_that_does_not_gate_plans_carries_them_out(
    backend: Backend, evaluator: Evaluator | None
) -> None:
    backend.will(calls("logs_describe"), says("None."))
    fact = await run(backend.url, a_command(evaluator=evaluator, tools=(a_tool(),)))
    assert (fact.status, len(fact.tool_runs)) == ("succeeded", 1)


async def test_an_accepted_plan_is_carried_out_without_asking_for_it_again(
    backend: Backend,
) -> None:
    backend.will(calls("logs_describe", '{"limit": 3}'), says("Two groups."))
    command = a_command(
        evaluator=GATED, tools=(a_tool(),), plan=ACCEPTED, role="continuation", attempt=2
    )
    tools = ScriptedTools()
    fact = await run(backend.url, command, tools=tools)
    assert (fact.status, fact.role) == ("succeeded", "continuation")
    assert [arguments for _, arguments in tools.asked] == [{}, {"limit": 3}]
    assert fact.answer.text == "Let me look.\n\nTwo groups."
    asked, told = backend.asked[0]["messages"][-2:]
    assert asked["tool_calls"][0]["id"] == told["tool_call_id"]


async def test_a_rejected_plan_and_why_are_told_and_the_next_plan_is_judged_again(
    backend: Backend,
) -> None:
    backend.will(calls("logs_describe", '{"limit": 1}'))
    command = a_command(
        evaluator=GATED,
        tools=(a_tool(),),
        plan=REJECTED,
        critique="A limit of 9 was not asked for.",
        role="replan",
        because="plan_rejected",
        attempt=2,
    )
    fact = await run(backend.url, command)
    assert fact.status == "planned"
    note = backend.asked[0]["messages"][0]["content"]
    assert 'logs_describe {"limit": 9}' in note
    assert "A limit of 9 was not asked for." in note


async def test_a_second_opinion_does_not_stream(backend: Backend) -> None:
    backend.will(says("Paris."))
    observing = Evaluator(min_score=8, mode="observe")
    draft = Candidate(model="other", answer=Answer(text="Lyon."))
    fact = await run(
        backend.url, a_command(stream=True, evaluator=observing, draft=draft, role="sibling")
    )
    assert (fact.answer.text, fact.has_streamed, fact.role) == ("Paris.", False, "sibling")


async def test_an_answer_that_runs_in_circles_is_stopped(backend: Backend) -> None:
    circle = "The total is therefore 42, so we check the total again. "
    backend.will(streams(*[words(circle)] * 400, end(), usage(prompt_tokens=10)))
    fact = await run(backend.url, a_command())
    assert (fact.status, fact.is_loop_cut) == ("succeeded", True)
    assert fact.answer.finish_reason == "length"
    assert fact.answer.text.startswith(circle * 2)
    assert fact.usage.estimated, "the backend was not heard out, so it sent no usage"


async def test_a_long_answer_that_gets_on_is_left_alone(backend: Backend) -> None:
    lines = [
        f"Step {number}: look at host-{number * 7}, then at {number}.\n" for number in range(400)
    ]
    backend.will(streams(*map(words, lines), end(), usage(prompt_tokens=10)))
    fact = await run(backend.url, a_command())
    assert (fact.is_loop_cut, fact.answer.finish_reason) == (False, "stop")
    assert fact.answer.text == "".join(lines)
