"""Which tool calls run, whose they are, and what a model is told of the others."""

import json

import pytest

from pointsman.contracts.chat import ToolCall
from pointsman.executor.domain.ports import Limits, ToolOutput
from pointsman.executor.domain.tools import (
    MAX_ARGUMENT_CHARS,
    UNKNOWN_TOOL,
    PlannedCall,
    plan,
    platform_tools,
    replayable,
    sort_calls,
    tool_message,
    tool_run,
)

from .doubles import NoCheck, a_call, a_definition, a_request, a_tool

READ = a_tool()
WRITE = a_tool("logs_delete", tool_id="logs.DeleteLogGroup", effect="write")
TOOLS = {"logs_describe": READ, "logs_delete": WRITE}


def planned(call: ToolCall, *, position: int = 0, problem: str | None = None) -> PlannedCall:
    limits = Limits(max_calls=2)
    return plan(call, position, tools=TOOLS, check=NoCheck(problem), limits=limits)


@pytest.mark.parametrize(
    ("arguments", "parsed"),
    [('{"limit": 1}', {"limit": 1}), ("", {}), (" \n", {}), ("{}", {})],
)
def test_a_sound_call_to_a_reading_tool_may_run(arguments: str, parsed: dict[str, object]) -> None:
    result = planned(a_call(arguments=arguments))
    assert (result.verdict, result.arguments, result.tool) == (None, parsed, READ)


@pytest.mark.parametrize(
    ("call", "position", "problem", "status", "said"),
    [
        (a_call("nobody"), 0, None, "error", "logs_delete, logs_describe"),
        (a_call(), 2, None, "refused", "at most 2 calls"),
        (a_call(arguments="{"), 0, None, "error", "not valid JSON"),
        (a_call(arguments="[1]"), 0, None, "error", "not a JSON object"),
        (a_call(arguments='{"a": NaN}'), 0, None, "error", "not valid JSON"),
        (a_call(arguments='{"a": "\\ud800"}'), 0, None, "error", "not valid JSON"),
        (a_call(arguments="[" * 5000), 0, None, "error", "not valid JSON"),
        (a_call(arguments="x" * (MAX_ARGUMENT_CHARS + 1)), 0, None, "error", "longer than"),
        (a_call("logs_delete"), 0, None, "refused", "approval"),
        (a_call("logs_delete"), 0, "bad", "refused", "approval"),
        (a_call(), 0, "$.limit: bad", "error", "$.limit: bad"),
    ],
)
def test_every_other_call_is_turned_down_with_a_reason(
    call: ToolCall, position: int, problem: str | None, status: str, said: str
) -> None:
    verdict = planned(call, position=position, problem=problem).verdict
    assert verdict is not None
    assert verdict.status == status
    assert said in verdict.text


def test_a_made_up_name_does_not_reach_the_facts() -> None:
    result = planned(a_call("the password is hunter2"))
    assert result.verdict is not None
    run = tool_run(result, result.verdict, 0.0, Limits())
    assert run.tool_id == UNKNOWN_TOOL


@pytest.mark.parametrize(
    ("call", "name", "arguments"),
    [
        (a_call("f", '{"a":1}'), "f", '{"a":1}'),
        (a_call("f", ""), "f", "{}"),
        (a_call("f", "{broken"), "f", "{}"),
        (a_call("f", '"text"'), "f", "{}"),
        (a_call("make coffee!", "{}"), "unknown", "{}"),
        (a_call("", "{}"), "unknown", "{}"),
    ],
)
def test_a_call_is_mended_before_a_backend_sees_it_again(
    call: ToolCall, name: str, arguments: str
) -> None:
    sent = replayable(call)
    assert (sent.id, sent.function.name, sent.function.arguments) == (call.id, name, arguments)


def test_a_result_is_passed_as_it_is_and_a_failure_names_itself() -> None:
    result = planned(a_call())
    limits = Limits(max_output_chars=100)
    good = tool_run(result, ToolOutput(status="ok", text="[1]"), 0.1, limits)
    bad = tool_run(result, ToolOutput(status="error", text="AccessDenied"), 0.1, limits)
    assert tool_message(good).content == "[1]"
    assert json.loads(tool_message(bad).text) == {"error": "AccessDenied"}


def test_a_long_result_is_cut_and_says_so() -> None:
    output = ToolOutput(status="ok", text="y" * 1000)
    run = tool_run(planned(a_call()), output, 0.0, Limits(max_output_chars=100))
    assert run.output.count("y") == 100
    assert run.output.endswith("the first 100 of 1000 characters]")


OWN = a_request(tools=(a_definition("book_table"),))
NONE_OWN = a_request()


@pytest.mark.parametrize(
    ("names", "has_own", "is_offered", "platform", "client"),
    [
        (["logs_describe"], False, True, ["logs_describe"], []),
        (["book_table"], True, True, [], ["book_table"]),
        (["logs_describe", "book_table"], True, True, ["logs_describe"], ["book_table"]),
        (["made_up"], True, True, ["made_up"], []),
        (["made_up"], True, False, [], ["made_up"]),
        (["logs_describe"], False, False, [], []),
    ],
)
def test_calls_go_to_whoever_can_run_them(
    names: list[str], has_own: bool, is_offered: bool, platform: list[str], client: list[str]
) -> None:
    calls = [a_call(name, call_id="same") for name in names]
    sorted_calls = sort_calls(
        calls, offered=TOOLS if is_offered else {}, request=OWN if has_own else NONE_OWN
    )
    assert [call.function.name for call in sorted_calls.platform] == platform
    assert [call.function.name for call in sorted_calls.client] == client


def test_the_clients_definition_wins_over_the_platforms_of_the_same_name() -> None:
    request = a_request(tools=(a_definition("logs_describe"),))
    assert list(platform_tools((READ, WRITE), request)) == ["logs_delete"]


def test_a_client_that_forbids_calls_gets_no_platform_tools() -> None:
    assert platform_tools((READ,), a_request(tool_choice="none")) == {}
