"""Draws the graph of ``flow.next_steps``: a picture and a table, as Markdown.

Owns one representative (command, fact) pair for every case the graph tells apart; knows no order of
its own. ``python tests/contract/flow_graph.py [FILE]`` prints it or writes FILE.
"""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

from pointsman.contracts.chat import Answer, ChatRequest, Message
from pointsman.contracts.errors import ErrorCode
from pointsman.contracts.flow import next_steps, stage_of
from pointsman.contracts.messages import (
    Accept,
    Accepted,
    Candidate,
    CheckSafety,
    Classified,
    Classify,
    Command,
    DeadLettered,
    Event,
    Events,
    Execute,
    Executed,
    Expired,
    Fact,
    Failed,
    Judge,
    Judged,
    Outcome,
    Recorded,
    RetrieveTools,
    SafetyChecked,
    ToolsRetrieved,
)
from pointsman.contracts.parts import (
    AttemptSummary,
    Evaluator,
    RequestContext,
    RouteDecision,
    Signals,
    Usage,
    Verdict,
)

_NOW = datetime(2026, 1, 1, tzinfo=UTC)
_CONTEXT = RequestContext(
    request_id="00000000-0000-0000-0000-000000000000",
    namespace="default",
    ingress="ingress",
    accepted_at=_NOW,
    deadline=_NOW + timedelta(minutes=1),
)
_REQUEST = ChatRequest(model="auto", messages=(Message(role="user", content="?"),))
_SIGNALS = Signals(intent="simple", domain="any", complexity=0, urgency="normal", safety="safe")
_USAGE = Usage(model="small")
_FIRST = AttemptSummary(attempt=1, model="small", status="succeeded", usage=_USAGE)
_LAST_ATTEMPT = 3

_GATE = Evaluator(min_score=8, max_attempts=_LAST_ATTEMPT)
_OBSERVE = Evaluator(min_score=8, mode="observe")


@dataclass(frozen=True, kw_only=True)
class Case:
    """One row of the table. ``when`` says what is special about this pair."""

    command: Command
    fact: Fact
    when: str = ""


def _decision(evaluator: Evaluator | None, *, use_tools: bool = False) -> RouteDecision:
    return RouteDecision(
        route="route",
        revision="revision",
        target="target",
        model="small",
        reason="",
        fallbacks=("backup",),
        escalations=("strong",),
        evaluator=evaluator,
        use_tools=use_tools,
    )


def _execute(
    evaluator: Evaluator | None = _GATE, *, attempt: int = 1, is_escalated: bool = False
) -> Execute:
    previous = Candidate(model="small", answer=Answer(), score=4) if is_escalated else None
    return Execute(
        context=_CONTEXT,
        request=_REQUEST,
        signals=_SIGNALS,
        decision=_decision(evaluator),
        model="small",
        previous=previous,
        attempt=attempt,
    )


def _judge(evaluator: Evaluator = _GATE, *, attempt: int = 1) -> Judge:
    return Judge(
        context=_CONTEXT,
        request=_REQUEST,
        signals=_SIGNALS,
        decision=_decision(evaluator),
        model="small",
        answer=Answer(),
        history=(_FIRST,),
        attempt=attempt,
    )


def _executed(
    status: Literal["succeeded", "failed", "cancelled"] = "succeeded",
    *,
    is_retryable: bool = False,
    has_streamed: bool = False,
) -> Executed:
    return Executed(
        status=status,
        model="small",
        usage=_USAGE,
        error=ErrorCode.UPSTREAM_ERROR if status == "failed" else None,
        is_retryable=is_retryable,
        has_streamed=has_streamed,
    )


def _judged(label: Literal["accepted", "low", "unjudged"]) -> Judged:
    score = {"accepted": 9.0, "low": 4.0, "unjudged": None}[label]
    return Judged(model="judge", verdict=Verdict(label=label, score=score), usage=_USAGE)


def _policy(on_judge_failure: Literal["accept", "flag", "fail"]) -> Evaluator:
    return Evaluator(min_score=8, on_judge_failure=on_judge_failure)


_ACCEPT = Accept(context=_CONTEXT, request=_REQUEST, vault_key="")
_CHECK = CheckSafety(context=_CONTEXT, request=_REQUEST, vault_key="")
_CLASSIFY = Classify(context=_CONTEXT, request=_REQUEST)
_RETRIEVE = RetrieveTools(
    context=_CONTEXT,
    request=_REQUEST,
    signals=_SIGNALS,
    decision=_decision(_GATE, use_tools=True),
)
_EVENTS = Events(
    events=(
        Event(
            service="ingress",
            context=_CONTEXT,
            at=_NOW,
            fact=Accepted(model="auto", messages=1),
        ),
    )
)


def cases() -> tuple[Case, ...]:
    """Every case, in the order a request meets them."""
    return (
        *_before_the_model(),
        *_after_the_model(),
        *_after_the_judge(),
        Case(command=_EVENTS, fact=Recorded(rows=1)),
        *_given_up(),
    )


def _before_the_model() -> Iterator[Case]:
    yield Case(command=_ACCEPT, fact=Accepted(model="auto", messages=1))
    yield Case(
        command=_CHECK, fact=SafetyChecked(is_blocked=False, request=_REQUEST), when="not blocked"
    )
    yield Case(command=_CHECK, fact=SafetyChecked(is_blocked=True), when="blocked")
    for use_tools, when in ((True, "the decision wants tools"), (False, "no tools")):
        decision = _decision(_GATE, use_tools=use_tools)
        yield Case(
            command=_CLASSIFY, fact=Classified(signals=_SIGNALS, decision=decision), when=when
        )
    yield Case(command=_RETRIEVE, fact=ToolsRetrieved())


def _after_the_model() -> Iterator[Case]:
    yield Case(command=_execute(), fact=_executed(), when="succeeded, evaluator gates")
    yield Case(command=_execute(_OBSERVE), fact=_executed(), when="succeeded, evaluator observes")
    yield Case(command=_execute(None), fact=_executed(), when="succeeded, no evaluator")
    passing = _executed("failed", is_retryable=True)
    streamed = _executed("failed", is_retryable=True, has_streamed=True)
    yield Case(command=_execute(), fact=passing, when="failed for now, a fallback is left")
    yield Case(
        command=_execute(attempt=_LAST_ATTEMPT), fact=passing, when="failed for now, last attempt"
    )
    yield Case(command=_execute(_OBSERVE), fact=streamed, when="failed after a token had left")
    yield Case(command=_execute(), fact=_executed("failed"), when="failed for good")
    yield Case(
        command=_execute(is_escalated=True),
        fact=_executed("failed"),
        when="failed for good, an earlier answer exists",
    )
    yield Case(command=_execute(), fact=_executed("cancelled"), when="cancelled by the client")


def _after_the_judge() -> Iterator[Case]:
    yield Case(command=_judge(), fact=_judged("accepted"), when="accepted")
    yield Case(command=_judge(), fact=_judged("low"), when="low, a stronger model is left")
    yield Case(command=_judge(attempt=_LAST_ATTEMPT), fact=_judged("low"), when="low, last attempt")
    flag = Evaluator(min_score=8, on_low_score="flag")
    yield Case(command=_judge(flag), fact=_judged("low"), when="low, the route says flag")
    for policy in ("accept", "flag", "fail"):
        yield Case(
            command=_judge(_policy(policy)),
            fact=_judged("unjudged"),
            when=f"unjudged, the route says {policy}",
        )
    for label in ("accepted", "low", "unjudged"):
        yield Case(
            command=_judge(_OBSERVE), fact=_judged(label), when=f"{label}, evaluator observes"
        )


def _given_up() -> Iterator[Case]:
    commands: tuple[tuple[Command, str], ...] = (
        (_ACCEPT, ""),
        (_CHECK, ""),
        (_CLASSIFY, ""),
        (_RETRIEVE, ""),
        (_execute(), "no earlier answer"),
        (_execute(is_escalated=True), "an earlier answer exists"),
        (_judge(_policy("accept")), "the route says accept"),
        (_judge(_policy("flag")), "the route says flag"),
        (_judge(_policy("fail")), "the route says fail"),
        (_judge(_OBSERVE), "evaluator observes"),
        (_EVENTS, ""),
    )
    for command, when in commands:
        stage = stage_of(command)
        yield Case(command=command, fact=Expired(stage=stage), when=when)
        yield Case(command=command, fact=DeadLettered(stage=stage, reason="KeyError"), when=when)


def render() -> str:
    """Return the whole document."""
    rows = [_row(case) for case in cases()]
    head = ("stage", "command", "fact", "when", "next", "outcome")
    return "\n".join(
        [
            "# The flow",
            "",
            "Generated from `libs/contracts/src/pointsman/contracts/flow.py` by `task graph`.",
            "Do not edit: change `flow.py`, then run `task golden` and `task graph`.",
            "",
            "```mermaid",
            "flowchart LR",
            *(f"  {line}" for line in _edges()),
            "```",
            "",
            "Every fact and outcome is also published as an `Event`, which accounting records.",
            "Commands that expired or were dead-lettered are in the table alone.",
            "",
            _line(head),
            _line("---" for _ in head),
            *(_line(row) for row in rows),
            "",
        ]
    )


def _line(cells: Iterator[str] | tuple[str, ...]) -> str:
    return f"| {' | '.join(cells)} |"


def _row(case: Case) -> tuple[str, ...]:
    steps = next_steps(case.command, case.fact)
    return (
        stage_of(case.command),
        _name(case.command),
        _name(case.fact),
        case.when,
        ", ".join(_describe(command) for command in steps.commands),
        _ending(steps.outcome),
    )


def _name(message: object) -> str:
    return f"`{type(message).__name__}`"


def _describe(command: Command) -> str:
    """The command's name, and what about it the graph decided."""
    if isinstance(command, Execute):
        return f"{_name(command)} on `{command.model}`, attempt {command.attempt}"
    return _name(command)


def _ending(outcome: Outcome | None) -> str:
    if outcome is None:
        return ""
    if isinstance(outcome, Failed):
        return f"{_name(outcome)} `{outcome.code}`"
    is_flagged = outcome.type == "completed" and outcome.is_flagged
    return f"{_name(outcome)}, flagged" if is_flagged else _name(outcome)


def _edges() -> list[str]:
    """One arrow for each pair of stages and reason; a stage's endings are joined in one arrow."""
    edges: dict[str, None] = {}
    for case in cases():
        if isinstance(case.fact, Expired | DeadLettered):
            continue
        steps = next_steps(case.command, case.fact)
        source = stage_of(case.command)
        label = case.when or type(case.fact).__name__
        for command in steps.commands:
            edges[f'{source} -- "{label}" --> {stage_of(command)}'] = None
        if steps.outcome is not None:
            name = type(steps.outcome).__name__
            edges[f'{source} -. "{label}" .-> {name}([{name}])'] = None
    return list(edges)


def main() -> None:
    document = render()
    if len(sys.argv) > 1:
        Path(sys.argv[1]).write_text(document, encoding="utf-8")
    else:
        sys.stdout.write(document)


if __name__ == "__main__":
    main()
