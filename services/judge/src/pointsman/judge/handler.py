"""Judge an answer or a plan against its route's ``minScore``: cheap layers, then a critic."""

from dataclasses import dataclass

import structlog
from opentelemetry import trace

from pointsman.contracts import telemetry
from pointsman.contracts.errors import Rejected
from pointsman.contracts.messages import Judge, Judged
from pointsman.contracts.parts import Usage, Verdict
from pointsman.judge.domain import (
    Assessment,
    Critic,
    JudgeUnavailable,
    Scorer,
    bar_for,
    label_of,
    reviewed,
    unreviewed,
    verdict_of,
    wants_sibling,
)
from pointsman.judge.domain.rubric import CriticFailed

log = structlog.get_logger()


@dataclass(frozen=True, kw_only=True)
class Deps:
    """``critic`` is asked only where a route names a model for it; None where none can be."""

    scorer: Scorer
    critic: Critic | None = None


async def judge(command: Judge, *, deps: Deps) -> Judged:
    """Return accepted, low, unsure, or unjudged where scoring failed; what follows is the flow's.

    Raises: Rejected if the route asks for no judgement.
    """
    evaluator = command.decision.evaluator
    if evaluator is None:
        raise Rejected("an answer to judge, by a route without evaluator")
    try:
        found = await deps.scorer.score(command)
    except JudgeUnavailable as error:
        log.warning("judge.unavailable", reason=error.reason, model=command.model)
        verdict, usage = Verdict(label="unjudged"), Usage(model="rules")
    else:
        bar = bar_for(command, evaluator.min_score)
        found = await _settled(found, command, evaluator.critic, deps.critic, min_score=bar)
        verdict = verdict_of(found, command, min_score=bar)
        usage = found.usage
    _record(verdict)
    return Judged(model=command.model, verdict=verdict, usage=usage, is_plan=command.is_plan)


async def _settled(
    found: Assessment,
    command: Judge,
    model: str | None,
    critic: Critic | None,
    *,
    min_score: float,
) -> Assessment:
    """Ask the critic ``model`` where the cheap layers cannot tell and no second answer may."""
    label = label_of(found, min_score=min_score)
    if label != "unsure" or model is None or wants_sibling(command, label):
        return found
    if critic is None:
        return unreviewed(found, None)
    ask = critic.review_plan if command.is_plan else critic.review
    try:
        said = await ask(command, model=model)
    except CriticFailed as failure:
        log.warning("judge.critic_failed", reason=failure.reason, critic=model)
        return unreviewed(found, failure.usage)
    return reviewed(found, said.review, said.usage)


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
