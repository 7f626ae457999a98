"""Judge one answer against its route's ``minScore``."""

from dataclasses import dataclass

import structlog
from opentelemetry import trace

from pointsman.contracts import telemetry
from pointsman.contracts.errors import Rejected
from pointsman.contracts.messages import Judge, Judged
from pointsman.contracts.parts import Usage, Verdict
from pointsman.judge.domain import JudgeUnavailable, Scorer, verdict_of

log = structlog.get_logger()


@dataclass(frozen=True, kw_only=True)
class Deps:
    scorer: Scorer


async def judge(command: Judge, *, deps: Deps) -> Judged:
    """Return accepted, low, or unjudged where the scorer failed; what follows is the flow's.

    Raises: Rejected if the route asks for no judgement.
    """
    evaluator = command.decision.evaluator
    if evaluator is None:
        raise Rejected("an answer to judge, by a route without evaluator")
    try:
        score = await deps.scorer.score(command)
    except JudgeUnavailable as error:
        log.warning("judge.unavailable", reason=error.reason, model=command.model)
        verdict, usage = Verdict(label="unjudged"), Usage(model="rules")
    else:
        verdict, usage = verdict_of(score, min_score=evaluator.min_score), score.usage
    _record(verdict)
    return Judged(model=command.model, verdict=verdict, usage=usage)


def _record(verdict: Verdict) -> None:
    """Put the result on the current span; the critique is content and stays out."""
    result: dict[str, str | float] = {
        telemetry.GEN_AI_EVALUATION_NAME: "answer_quality",
        telemetry.GEN_AI_EVALUATION_LABEL: verdict.label,
    }
    if verdict.score is not None:
        result[telemetry.GEN_AI_EVALUATION_SCORE] = verdict.score
    span = trace.get_current_span()
    span.set_attributes(result)
    span.add_event(telemetry.GEN_AI_EVALUATION_EVENT, result)
