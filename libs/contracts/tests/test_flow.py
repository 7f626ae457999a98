"""The graph as tables: which command or outcome follows from which fact."""

from decimal import Decimal
from typing import get_args

import pytest
from flow_values import (
    ACCEPT,
    ANSWER,
    CHECK,
    CLASSIFY,
    COMMANDS,
    CONTEXT,
    DEAD,
    EVENTS,
    EXPIRED,
    MASKED,
    OWN_FACTS,
    REQUEST_ID,
    RETRIEVE,
    SIGNALS,
    TOOL,
    attempt,
    decision,
    execute,
    failed,
    judge,
    judged,
    succeeded,
    usage,
)

from pointsman.contracts.chat import Answer
from pointsman.contracts.errors import ErrorCode
from pointsman.contracts.flow import UnexpectedFact, next_steps, stage_of
from pointsman.contracts.messages import (
    Blocked,
    Classified,
    Classify,
    Command,
    Completed,
    DeadLettered,
    Execute,
    Executed,
    Expired,
    Fact,
    Failed,
    Judge,
    Outcome,
    Recorded,
    RetrieveTools,
    SafetyChecked,
)
from pointsman.contracts.outcomes import NOTHING, Steps, with_paid
from pointsman.contracts.parts import Candidate, Evaluator, Finding, Usage, Verdict
from pointsman.contracts.topology import SERVICES


def only_command(steps: Steps) -> Command:
    assert steps.outcome is None
    (command,) = steps.commands
    return command


def only_outcome(steps: Steps) -> Outcome:
    assert steps.commands == ()
    assert steps.outcome is not None
    return steps.outcome


def completed(steps: Steps) -> Completed:
    outcome = only_outcome(steps)
    assert isinstance(outcome, Completed)
    return outcome


def failure(steps: Steps) -> Failed:
    outcome = only_outcome(steps)
    assert isinstance(outcome, Failed)
    return outcome


def next_execute(steps: Steps) -> Execute:
    command = only_command(steps)
    assert isinstance(command, Execute)
    return command


def test_every_command_belongs_to_one_service_and_every_service_has_one() -> None:
    assert [stage_of(command) for command in COMMANDS] == list(SERVICES)


@pytest.mark.parametrize("command", COMMANDS, ids=lambda c: c.type)
@pytest.mark.parametrize("fact", [*OWN_FACTS.values(), EXPIRED, DEAD], ids=lambda f: f.type)
def test_a_command_takes_its_own_fact_and_the_runtime_facts_alone(
    command: Command, fact: Fact
) -> None:
    if fact is OWN_FACTS[command.type] or isinstance(fact, Expired | DeadLettered):
        assert isinstance(next_steps(command, fact), Steps)
    else:
        with pytest.raises(UnexpectedFact):
            next_steps(command, fact)


def test_an_attempt_keeps_the_decision_it_was_paid_under() -> None:
    observing = Evaluator(min_score=8, mode="observe")
    paid_under = decision(observing).model_copy(update={"revision": "older"})
    fact = succeeded().model_copy(update={"decision": paid_under})
    steps = next_steps(execute(), fact)
    assert [command.decision for command in steps.commands if isinstance(command, Judge)] == [
        paid_under
    ]
    assert isinstance(steps.outcome, Completed)
    assert steps.outcome.decision == paid_under


LATE = Failed(request_id=REQUEST_ID, code=ErrorCode.DEADLINE_EXCEEDED, stage="safety")


@pytest.mark.parametrize("ending", [Blocked(request_id=REQUEST_ID), LATE])
def test_what_an_earlier_run_paid_is_told_however_this_one_ends(ending: Outcome) -> None:
    told = with_paid(
        ending, [(succeeded("small"), None), (failed(model="large"), judged("low", 4))]
    )
    assert isinstance(told, Failed)
    assert [(a.attempt, a.model, a.status) for a in told.attempts] == [
        (1, "small", "succeeded"),
        (2, "large", "failed"),
    ]
    assert told.cost_usd == 3 * usage().cost_usd, "two attempts, and a judgement that cost as much"
    is_blocked = isinstance(ending, Blocked)
    assert told.code is (ErrorCode.CONTENT_FILTER if is_blocked else ErrorCode.DEADLINE_EXCEEDED)
    assert with_paid(ending, []) == ending


def test_the_tables_here_know_every_fact() -> None:
    known = {type(fact) for fact in (*OWN_FACTS.values(), EXPIRED, DEAD)}
    assert known == set(get_args(Fact))


def test_an_accepted_request_goes_to_safety_unchanged() -> None:
    assert only_command(next_steps(ACCEPT, OWN_FACTS["accept"])) == CHECK


@pytest.mark.parametrize(
    ("fact", "why"),
    [
        (SafetyChecked(is_blocked=True), "blocked"),
        (SafetyChecked(is_blocked=True, request=MASKED), "blocked, whatever else it carries"),
        (SafetyChecked(is_blocked=False), "no masked request: fail closed"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_blocked_request_ends_before_any_model(fact: SafetyChecked, why: str) -> None:
    assert isinstance(only_outcome(next_steps(CHECK, fact)), Blocked)


def test_a_block_tells_what_was_found() -> None:
    finding = Finding(guard="injection", rule="ignore-rules", action="block")
    fact = SafetyChecked(is_blocked=True, findings=(finding,), message="no")
    outcome = only_outcome(next_steps(CHECK, fact))
    assert outcome == Blocked(request_id=REQUEST_ID, findings=(finding,), message="no")


def test_after_safety_only_the_masked_request_travels() -> None:
    fact = SafetyChecked(is_blocked=False, is_suspicious=True, request=MASKED)
    command = only_command(next_steps(CHECK, fact))
    assert command == Classify(context=CONTEXT, request=MASKED, is_suspicious=True)
    assert "raw" not in command.model_dump_json()


def test_a_route_with_tools_goes_through_toolrag_with_the_vector() -> None:
    fact = Classified(signals=SIGNALS, decision=decision(use_tools=True), vector=b"v")
    command = only_command(next_steps(CLASSIFY, fact))
    assert isinstance(command, RetrieveTools)
    assert (command.vector, command.decision, command.signals) == (b"v", fact.decision, SIGNALS)


def test_a_route_without_tools_goes_straight_to_the_model_it_chose() -> None:
    fact = Classified(signals=SIGNALS, decision=decision())
    command = next_execute(next_steps(CLASSIFY, fact))
    assert (command.model, command.tools, command.attempt) == ("small", (), 1)


def test_the_tools_that_were_bound_reach_the_executor() -> None:
    command = next_execute(next_steps(RETRIEVE, OWN_FACTS["retrieve_tools"]))
    assert (command.model, command.tools) == ("small", (TOOL,))


def test_a_gated_answer_waits_for_its_judge() -> None:
    command = only_command(next_steps(execute(), succeeded()))
    assert isinstance(command, Judge)
    assert (command.model, command.answer, command.attempt) == ("small", ANSWER, 1)
    assert [(a.model, a.status) for a in command.history] == [("small", "succeeded")]


def test_an_observed_answer_is_returned_and_judged_for_the_record() -> None:
    evaluator = Evaluator(min_score=8, mode="observe")
    steps = next_steps(execute(evaluator), succeeded())
    assert [command.type for command in steps.commands] == ["judge"]
    assert isinstance(steps.outcome, Completed)
    for fact in (judged("low", 1), judged("accepted", 9), judged("unjudged"), EXPIRED, DEAD):
        assert next_steps(judge(evaluator), fact) == NOTHING


def test_without_an_evaluator_the_answer_is_returned_at_once() -> None:
    done = completed(next_steps(execute(None), succeeded()))
    assert (done.answer, done.verdict, done.is_flagged) == (ANSWER, None, False)


def test_a_failed_model_is_followed_by_the_first_fallback_not_tried() -> None:
    first = next_execute(next_steps(execute(), failed()))
    assert (first.model, first.attempt) == ("backup", 2)
    second = next_execute(next_steps(first, failed(model="backup")))
    assert (second.model, second.attempt) == ("spare", 3)
    assert [a.model for a in second.history] == ["small", "backup"]


@pytest.mark.parametrize(
    ("command", "fact"),
    [
        (execute(), failed(is_retryable=False)),
        (execute(), failed(has_streamed=True)),
        (execute(Evaluator(min_score=8, max_attempts=2), history=(attempt("weak"),)), failed()),
        (execute(None, history=(attempt("weak"), attempt("weaker", 2))), failed()),
        (execute(history=(attempt("backup"), attempt("spare", 2))), failed()),
    ],
    ids=[
        "not retryable",
        "a token has left",
        "attempts used up",
        "attempts used up, no evaluator",
        "no fallback left",
    ],
)
def test_no_other_model_takes_over(command: Execute, fact: Executed) -> None:
    outcome = failure(next_steps(command, fact))
    assert (outcome.code, outcome.stage) == (ErrorCode.UPSTREAM_TIMEOUT, "executor")
    assert outcome.attempts[-1].reason == "upstream_timeout"


def test_a_cancelled_request_is_not_tried_again() -> None:
    fact = Executed(
        status="cancelled",
        model="small",
        usage=usage(),
        error=ErrorCode.CANCELLED,
        is_retryable=True,
    )
    previous = Candidate(model="small", answer=ANSWER, score=4)
    for command in (execute(), execute(previous=previous)):
        assert failure(next_steps(command, fact)).code is ErrorCode.CANCELLED


def test_an_accepted_answer_completes_with_its_verdict() -> None:
    done = completed(next_steps(judge(), judged("accepted", 9)))
    assert done.verdict is not None
    assert (done.verdict.score, done.is_flagged, done.attempts[-1].score) == (9, False, 9)


def test_a_low_answer_goes_to_the_next_stronger_model_with_the_critique() -> None:
    command = next_execute(next_steps(judge(), judged("low", 4, "part two is missing")))
    assert (command.model, command.attempt) == ("strong", 2)
    assert command.critique == "part two is missing"
    assert command.tools == (TOOL,)
    assert command.previous == Candidate(model="small", answer=ANSWER, score=4)
    assert command.history[-1].score == 4


def test_an_escalation_skips_models_already_tried() -> None:
    history = (attempt(), attempt("strong", 2))
    command = next_execute(next_steps(judge(history=history, number=2), judged("low", 4)))
    assert (command.model, command.attempt) == ("stronger", 3)


@pytest.mark.parametrize(
    "command",
    [
        judge(Evaluator(min_score=8, on_low_score="flag")),
        judge(Evaluator(min_score=8, max_attempts=1)),
        judge(history=(attempt(), attempt("stronger", 2), attempt("strong", 3))),
    ],
    ids=["the route says flag", "attempts used up", "no stronger model left"],
)
def test_a_low_answer_that_cannot_escalate_is_returned_flagged(command: Judge) -> None:
    done = completed(next_steps(command, judged("low", 4)))
    assert done.is_flagged
    assert done.answer == ANSWER


def test_an_escalation_that_scores_lower_does_not_replace_the_better_answer() -> None:
    earlier = Candidate(model="small", answer=Answer(text="the better one"), score=6)
    command = judge(Evaluator(min_score=8, max_attempts=1)).model_copy(update={"previous": earlier})
    done = completed(next_steps(command, judged("low", 4)))
    assert (done.answer.text, done.model) == ("the better one", "small")
    assert done.verdict is not None
    assert (done.verdict.score, done.is_flagged) == (6, True)


@pytest.mark.parametrize("fact", [judged("unjudged"), EXPIRED, DEAD], ids=lambda f: f.type)
@pytest.mark.parametrize("policy", ["accept", "flag", "fail"])
def test_a_judge_that_failed_never_invents_a_score(policy: str, fact: Fact) -> None:
    evaluator = Evaluator.model_validate({"min_score": 8, "on_judge_failure": policy})
    outcome = only_outcome(next_steps(judge(evaluator), fact))
    if policy == "fail":
        assert isinstance(outcome, Failed)
        assert (outcome.code, outcome.stage) == (ErrorCode.JUDGE_FAILED, "judge")
        return
    assert isinstance(outcome, Completed)
    assert outcome.is_flagged == (policy == "flag")
    assert outcome.verdict == Verdict(label="unjudged")
    assert outcome.attempts[-1].score is None


@pytest.mark.parametrize(
    "fact", [failed(is_retryable=False, model="strong"), EXPIRED, DEAD], ids=lambda f: f.type
)
def test_a_failed_escalation_returns_the_earlier_answer_flagged(fact: Fact) -> None:
    previous = Candidate(model="small", answer=ANSWER, score=4)
    command = execute(previous=previous, history=(attempt(),), number=2)
    done = completed(next_steps(command, fact))
    assert (done.model, done.answer, done.is_flagged) == ("small", ANSWER, True)
    assert done.verdict == Verdict(label="low", score=4)


@pytest.mark.parametrize("command", COMMANDS[:5], ids=lambda c: c.type)
@pytest.mark.parametrize(
    ("ending", "code"),
    [(EXPIRED, ErrorCode.DEADLINE_EXCEEDED), (DEAD, ErrorCode.INTERNAL_ERROR)],
    ids=["expired", "dead lettered"],
)
def test_a_command_that_was_given_up_ends_its_request(
    command: Command, ending: Fact, code: ErrorCode
) -> None:
    outcome = failure(next_steps(command, ending))
    assert (outcome.code, outcome.stage, outcome.request_id) == (code, "safety", REQUEST_ID)
    has_decision = command.type in {"retrieve_tools", "execute"}
    assert (outcome.decision is not None) == has_decision


def test_accounting_ends_there_whatever_happens() -> None:
    for fact in (Recorded(rows=1), EXPIRED, DEAD):
        assert next_steps(EVENTS, fact) == NOTHING


def test_the_client_is_told_what_all_attempts_used() -> None:
    history = (attempt(), attempt("strong", 2))
    done = completed(next_steps(judge(history=history, number=2), judged("accepted", 9)))
    assert done.usage == Usage(
        model="strong", input_tokens=30, output_tokens=15, cost_usd=Decimal("0.3"), model_calls=3
    ), "two attempts and a judge that asked a model"


def test_one_estimated_attempt_makes_the_total_estimated() -> None:
    guessed = attempt().model_copy(update={"usage": usage().model_copy(update={"estimated": True})})
    done = completed(
        next_steps(judge(history=(guessed, attempt("strong", 2))), judged("accepted", 9))
    )
    assert done.usage.estimated


def test_a_failure_still_knows_what_it_cost() -> None:
    outcome = failure(
        next_steps(execute(history=(attempt(),), number=2), failed(is_retryable=False))
    )
    assert outcome.cost_usd == Decimal("0.2")
