"""The graph: who does what next. The only place that knows the order of the stages.

``next_steps`` is total over (command, fact) and pure; ``task graph`` draws it, a golden test
pins it. It knows no subject, retry or span.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import assert_never

from pointsman.contracts.chat import Answer
from pointsman.contracts.errors import ErrorCode
from pointsman.contracts.messages import (
    Accept,
    Accepted,
    Blocked,
    BusCommand,
    Candidate,
    CheckSafety,
    Classified,
    Classify,
    Command,
    Completed,
    DeadLettered,
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
    BoundTool,
    Evaluator,
    RouteDecision,
    ServiceName,
    Signals,
    Usage,
    Verdict,
)


@dataclass(frozen=True, kw_only=True)
class Steps:
    """What follows from one fact: commands to publish, and the outcome if it ends here."""

    commands: tuple[BusCommand, ...] = ()
    outcome: Outcome | None = None


NOTHING = Steps()


class UnexpectedFact(TypeError):
    """A stage answered its command with a fact that is not its own."""


def stage_of(command: Command) -> ServiceName:
    """Return the service that handles ``command``."""
    match command:
        case Accept():
            return "ingress"
        case CheckSafety():
            return "safety"
        case Classify():
            return "classifier"
        case RetrieveTools():
            return "toolrag"
        case Execute():
            return "executor"
        case Judge():
            return "judge"
        case Events():
            return "accounting"
        case _:
            assert_never(command)


def next_steps(command: Command, fact: Fact) -> Steps:
    """Return what follows when ``command`` was answered by ``fact``.

    Raises: UnexpectedFact if the fact does not belong to the command.
    """
    match command, fact:
        case Events(), Recorded() | Expired() | DeadLettered():
            return NOTHING
        case Accept(), Accepted():
            return Steps(
                commands=(
                    CheckSafety(
                        context=command.context,
                        request=command.request,
                        vault_key=command.vault_key,
                    ),
                )
            )
        case CheckSafety(), SafetyChecked():
            return _after_safety(command, fact)
        case Classify(), Classified():
            return _after_classifier(command, fact)
        case RetrieveTools(), ToolsRetrieved():
            return _first_attempt(command, command.signals, command.decision, fact.tools)
        case Execute(), Executed():
            return _after_executor(_as_decided(command, fact), fact)
        case Judge(), Judged():
            return _after_judge(command, fact.verdict)
        case Judge(), Expired() | DeadLettered():
            # The answer is paid for: the route's policy for a failed judge decides about it.
            return _after_judge(command, Verdict(label="unjudged"))
        case (
            (Accept() | CheckSafety() | Classify() | RetrieveTools() | Execute()) as stuck,
            (Expired() | DeadLettered()) as ending,
        ):
            return _given_up(stuck, ending)
        case _:
            raise UnexpectedFact(f"{command.type} was answered by {fact.type}")


def _after_safety(command: CheckSafety, fact: SafetyChecked) -> Steps:
    if fact.is_blocked or fact.request is None:
        return Steps(
            outcome=Blocked(
                request_id=command.context.request_id,
                findings=fact.findings,
                message=fact.message,
            )
        )
    return Steps(
        commands=(
            Classify(
                context=command.context, request=fact.request, is_suspicious=fact.is_suspicious
            ),
        )
    )


def _after_classifier(command: Classify, fact: Classified) -> Steps:
    if fact.decision.use_tools:
        return Steps(
            commands=(
                RetrieveTools(
                    context=command.context,
                    request=command.request,
                    signals=fact.signals,
                    decision=fact.decision,
                    vector=fact.vector,
                ),
            )
        )
    return _first_attempt(command, fact.signals, fact.decision)


def _first_attempt(
    command: Classify | RetrieveTools,
    signals: Signals,
    decision: RouteDecision,
    tools: tuple[BoundTool, ...] = (),
) -> Steps:
    return Steps(
        commands=(
            Execute(
                context=command.context,
                request=command.request,
                signals=signals,
                decision=decision,
                model=decision.model,
                tools=tools,
            ),
        )
    )


def _as_decided(command: Execute, fact: Executed) -> Execute:
    """The command under the decision that its attempt was paid under, whatever the route says."""
    if fact.decision is None or fact.decision is command.decision:
        return command
    return command.model_copy(update={"decision": fact.decision})


def _after_executor(command: Execute, fact: Executed) -> Steps:
    history = history_after(command, fact)
    if fact.status != "succeeded":
        return _after_failed_attempt(command, fact, history)
    evaluator = command.decision.evaluator
    if evaluator is None:
        return Steps(outcome=_completed(command, fact.model, fact.answer, history))
    judge = Judge(
        context=command.context,
        request=command.request,
        signals=command.signals,
        decision=command.decision,
        model=fact.model,
        answer=fact.answer,
        tools=command.tools,
        tool_runs=fact.tool_runs,
        previous=command.previous,
        history=history,
        attempt=command.attempt,
    )
    if evaluator.mode == "observe":
        done = _completed(command, fact.model, fact.answer, history)
        return Steps(commands=(judge,), outcome=done)
    return Steps(commands=(judge,))


def history_after(command: Execute, fact: Executed) -> tuple[AttemptSummary, ...]:
    """Return the request's attempts with this one, and so what the request has cost."""
    return (*command.history, _summary(command.attempt, fact))


def _summary(attempt: int, fact: Executed) -> AttemptSummary:
    return AttemptSummary(
        attempt=attempt,
        model=fact.model,
        status=fact.status,
        usage=fact.usage,
        reason=fact.error or "",
    )


def with_paid(outcome: Outcome, paid: Sequence[Executed]) -> Outcome:
    """Return an outcome that tells what was paid in an earlier run, which this one did not repeat.

    A request that is blocked only now has cost something all the same, and says so as a failure.
    """
    attempts = tuple(_summary(number, fact) for number, fact in enumerate(paid, 1))
    if isinstance(outcome, Completed) or not attempts:
        return outcome
    if isinstance(outcome, Failed):
        return outcome.model_copy(update={"attempts": attempts})
    code = ErrorCode.CONTENT_FILTER
    return Failed(request_id=outcome.request_id, code=code, stage="safety", attempts=attempts)


def _after_failed_attempt(
    command: Execute, fact: Executed, history: tuple[AttemptSummary, ...]
) -> Steps:
    tried = {attempt.model for attempt in history}
    left = tuple(model for model in command.decision.fallbacks if model not in tried)
    may_go_on = fact.status == "failed" and fact.is_retryable and not fact.has_streamed
    if may_go_on and left and command.attempt < _max_attempts(command.decision.evaluator):
        return Steps(
            commands=(
                command.model_copy(
                    update={"model": left[0], "attempt": command.attempt + 1, "history": history}
                ),
            )
        )
    if command.previous is not None and fact.status == "failed":
        return _flagged(command, command.previous, history)
    code = ErrorCode.CANCELLED if fact.status == "cancelled" else fact.error
    return _failed(command, code or ErrorCode.UPSTREAM_ERROR, "executor", history)


def _after_judge(command: Judge, verdict: Verdict) -> Steps:
    evaluator = command.decision.evaluator
    if evaluator is None or evaluator.mode == "observe":
        return NOTHING
    history = _with_score(command.history, verdict.score)
    if verdict.label == "accepted":
        return Steps(outcome=_completed(command, command.model, command.answer, history, verdict))
    if verdict.label == "unjudged":
        if evaluator.on_judge_failure == "fail":
            return _failed(command, ErrorCode.JUDGE_FAILED, "judge", history)
        flagged = evaluator.on_judge_failure == "flag"
        done = _completed(command, command.model, command.answer, history, verdict, flagged=flagged)
        return Steps(outcome=done)
    best = _better(command, verdict)
    stronger = _stronger(command)
    may_go_on = evaluator.on_low_score == "escalate" and command.attempt < evaluator.max_attempts
    if stronger and may_go_on:
        return Steps(
            commands=(
                Execute(
                    context=command.context,
                    request=command.request,
                    signals=command.signals,
                    decision=command.decision,
                    model=stronger,
                    tools=command.tools,
                    critique=verdict.critique,
                    previous=best,
                    history=history,
                    attempt=command.attempt + 1,
                ),
            )
        )
    if best is not command.previous:
        done = _completed(command, best.model, best.answer, history, verdict, flagged=True)
        return Steps(outcome=done)
    return _flagged(command, best, history)


def _given_up(
    command: Accept | CheckSafety | Classify | RetrieveTools | Execute, fact: Expired | DeadLettered
) -> Steps:
    if isinstance(command, Execute) and command.previous is not None:
        return _flagged(command, command.previous, command.history)
    code = ErrorCode.DEADLINE_EXCEEDED if isinstance(fact, Expired) else ErrorCode.INTERNAL_ERROR
    return _failed(
        command, code, fact.stage, command.history if isinstance(command, Execute) else ()
    )


def _failed(
    command: Accept | BusCommand,
    code: ErrorCode,
    stage: ServiceName,
    history: tuple[AttemptSummary, ...],
) -> Steps:
    is_decided = isinstance(command, RetrieveTools | Execute | Judge)
    return Steps(
        outcome=Failed(
            request_id=command.context.request_id,
            code=code,
            stage=stage,
            attempts=history,
            decision=command.decision if is_decided else None,
        )
    )


def _flagged(
    command: Execute | Judge, answer: Candidate, history: tuple[AttemptSummary, ...]
) -> Steps:
    """End with an earlier answer that was judged too weak: it is better than none."""
    verdict = Verdict(label="low", score=answer.score)
    done = _completed(command, answer.model, answer.answer, history, verdict, flagged=True)
    return Steps(outcome=done)


def _better(command: Judge, verdict: Verdict) -> Candidate:
    """The answer just judged, or the one before if that one scored higher."""
    now = Candidate(model=command.model, answer=command.answer, score=verdict.score)
    before = command.previous
    if before is None or (before.score or 0) <= (now.score or 0):
        return now
    return before


def _stronger(command: Judge) -> str | None:
    """The next escalation that no attempt has used yet."""
    tried = {attempt.model for attempt in command.history}
    return next((m for m in command.decision.escalations if m not in tried), None)


def _with_score(
    history: tuple[AttemptSummary, ...], score: float | None
) -> tuple[AttemptSummary, ...]:
    if not history:
        return history
    return (*history[:-1], history[-1].model_copy(update={"score": score}))


def _max_attempts(evaluator: Evaluator | None) -> int:
    return evaluator.max_attempts if evaluator else Evaluator(min_score=0).max_attempts


def _completed(
    command: Execute | Judge,
    model: str,
    answer: Answer,
    history: tuple[AttemptSummary, ...],
    verdict: Verdict | None = None,
    *,
    flagged: bool = False,
) -> Completed:
    return Completed(
        request_id=command.context.request_id,
        model=model,
        decision=command.decision,
        finish_reason=answer.finish_reason,
        usage=_total(history, model),
        attempts=history,
        verdict=verdict,
        is_flagged=flagged,
        answer=answer,
    )


def _total(history: tuple[AttemptSummary, ...], model: str) -> Usage:
    """Everything the request used: a client pays for failed and escalated attempts too."""
    return Usage(
        model=model,
        input_tokens=sum(a.usage.input_tokens for a in history),
        output_tokens=sum(a.usage.output_tokens for a in history),
        cost_usd=sum((a.usage.cost_usd for a in history), Decimal(0)),
        model_calls=sum(a.usage.model_calls for a in history),
        estimated=any(a.usage.estimated for a in history),
    )
