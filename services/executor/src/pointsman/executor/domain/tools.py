"""Decides about the tool calls of one round: which run, which come back as an error to repair.

The client's own tools are never run here. A tool that changes something is refused: that needs a
person, and the queue for people does not exist yet.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, cast

from pydantic_core import from_json

from pointsman.contracts.chat import ChatRequest, FunctionCall, JsonObject, Message, ToolCall
from pointsman.contracts.messages import Execute
from pointsman.contracts.parts import BoundTool, ToolRun
from pointsman.executor.domain.ports import ArgumentCheck, Limits, ToolOutput
from pointsman.executor.domain.prompt import cut

MAX_ARGUMENT_CHARS = 20_000
UNKNOWN_TOOL = "unknown"
"""Stands for a name the model made up: it may hold words of the prompt, and facts carry none."""

SAID_AGAIN = "[This call has run before in this conversation. Its result, again:]"

_TOOL_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")


@dataclass(frozen=True, kw_only=True)
class PlannedCall:
    """A platform tool call and its verdict, which is None for a call that may run."""

    call: ToolCall
    tool: BoundTool | None
    arguments: JsonObject
    verdict: ToolOutput | None = None


@dataclass(frozen=True, kw_only=True)
class SortedCalls:
    """The calls of one round by who has to run them."""

    platform: tuple[ToolCall, ...] = ()
    client: tuple[ToolCall, ...] = ()


class RunsSoFar:
    """The calls of an attempt that have given a result, so that none is made twice."""

    def __init__(self) -> None:
        self._by_call: dict[tuple[str, str], ToolRun] = {}

    def add(self, runs: Sequence[ToolRun]) -> None:
        for run in runs:
            if run.status == "ok":
                self._by_call.setdefault(_identity(run.tool_id, run.arguments), run)

    def repeated(self, planned: PlannedCall) -> ToolRun | None:
        """Return the record of a call that has run already, marked; None for a new one."""
        if planned.tool is None or planned.verdict is not None:
            return None
        run = self._by_call.get(_identity(planned.tool.tool_id, planned.arguments))
        if run is None:
            return None
        again = {"call_id": planned.call.id, "duration_s": 0.0}
        return run.model_copy(update={**again, "output": f"{SAID_AGAIN}\n{run.output}"})


def tools_for(command: Execute) -> dict[str, BoundTool]:
    """Return the tools the platform offers in an attempt, by the name the model sees.

    None for a second opinion, which is compared with the first, and none where a plan was rejected
    for the last time: that model has to answer with what it knows.
    """
    plan = command.plan
    was_refused = plan is not None and not plan.is_accepted and command.role == "continuation"
    if command.draft is not None or was_refused:
        return {}
    return platform_tools(command.tools, command.request)


def platform_tools(tools: Sequence[BoundTool], request: ChatRequest) -> dict[str, BoundTool]:
    """Return the tools the platform offers, by the name the model sees.

    None when the client forbids calls; the client's own definition wins over one of the same name.
    """
    if request.tool_choice == "none":
        return {}
    taken = _client_names(request)
    return {
        tool.definition.function.name: tool
        for tool in tools
        if tool.definition.function.name not in taken
    }


def sort_calls(
    calls: Sequence[ToolCall], *, offered: Mapping[str, BoundTool], request: ChatRequest
) -> SortedCalls:
    """Split the calls of one round.

    A name nobody knows goes to the platform while its tools are offered, so that the model can
    repair it; else to the client if it brought tools; else it is dropped.
    """
    own = _client_names(request)
    if not offered:
        return SortedCalls(client=tuple(calls) if own else ())
    return SortedCalls(
        platform=tuple(call for call in calls if call.function.name not in own),
        client=tuple(call for call in calls if call.function.name in own),
    )


def plan(
    call: ToolCall,
    position: int,
    *,
    tools: Mapping[str, BoundTool],
    check: ArgumentCheck,
    limits: Limits,
) -> PlannedCall:
    """Decide about one platform call; ``position`` counts from 0 within its round."""
    tool = tools.get(call.function.name)
    if tool is None:
        names = ", ".join(sorted(tools))
        return _turned_down(call, None, "error", f"there is no such tool; the tools are: {names}")
    if position >= limits.max_calls:
        return _turned_down(call, tool, "refused", f"at most {limits.max_calls} calls in one round")
    arguments = _parsed(call.function.arguments)
    if isinstance(arguments, str):
        return _turned_down(call, tool, "error", arguments)
    if tool.effect == "write":
        reason = "this tool changes something, which needs a person's approval"
        return _turned_down(call, tool, "refused", reason, arguments)
    problem = check.problem(tool.definition.function.parameters or {}, arguments)
    if problem is not None:
        return _turned_down(call, tool, "error", f"the arguments do not fit: {problem}", arguments)
    return PlannedCall(call=call, tool=tool, arguments=arguments)


def tool_run(
    planned: PlannedCall, output: ToolOutput, duration_s: float, limits: Limits
) -> ToolRun:
    """Return the record of one call, with its output cut to size."""
    return ToolRun(
        call_id=planned.call.id,
        tool_id=planned.tool.tool_id if planned.tool else UNKNOWN_TOOL,
        status=output.status,
        duration_s=duration_s,
        arguments=planned.arguments,
        output=cut(output.text, limits.max_output_chars),
    )


def replayable(call: ToolCall) -> ToolCall:
    """Return ``call`` as it may be sent back to a model.

    Backends answer 400 to a name outside their alphabet, and vLLM also to arguments that are no
    JSON object; the model made the mistake and is told of it in the tool's message.
    """
    name = call.function.name if _TOOL_NAME.fullmatch(call.function.name) else UNKNOWN_TOOL
    is_sound = not isinstance(_parsed(call.function.arguments), str)
    arguments = (call.function.arguments.strip() or "{}") if is_sound else "{}"
    return call.model_copy(update={"function": FunctionCall(name=name, arguments=arguments)})


def tool_message(run: ToolRun) -> Message:
    """Return what the model reads of one call."""
    content = run.output if run.status == "ok" else json.dumps({run.status: run.output})
    return Message(role="tool", tool_call_id=run.call_id, content=content)


def deferred_message(call: ToolCall) -> Message:
    """Return the answer to a client's tool that was called beside one of the platform's.

    The client can only be asked when the platform's results are in, so the model asks again.
    """
    reason = "this tool is run by the user's application; call it again without platform tools"
    return Message(role="tool", tool_call_id=call.id, content=json.dumps({"deferred": reason}))


def _identity(tool_id: str, arguments: JsonObject) -> tuple[str, str]:
    return tool_id, json.dumps(arguments, sort_keys=True)


def _client_names(request: ChatRequest) -> frozenset[str]:
    return frozenset(tool.function.name for tool in request.tools or ())


def _parsed(text: str) -> JsonObject | str:
    """The arguments as an object, or what is wrong with them."""
    if len(text) > MAX_ARGUMENT_CHARS:
        return f"the arguments are longer than {MAX_ARGUMENT_CHARS} characters"
    try:
        # Stricter than the standard library: no NaN and no half of a surrogate pair, which could
        # not be written to the bus again.
        value: object = from_json(text, allow_inf_nan=False) if text.strip() else {}
    except ValueError:
        return "the arguments are not valid JSON"
    if not isinstance(value, dict):
        return "the arguments are not a JSON object"
    return cast("JsonObject", value)  # JSON objects have string keys


def _turned_down(
    call: ToolCall,
    tool: BoundTool | None,
    status: Literal["error", "refused"],
    reason: str,
    arguments: JsonObject | None = None,
) -> PlannedCall:
    verdict = ToolOutput(status=status, text=reason)
    return PlannedCall(call=call, tool=tool, arguments=arguments or {}, verdict=verdict)
