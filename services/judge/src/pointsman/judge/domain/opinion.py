"""What the learned layers think of an answer, as log-odds that it is acceptable, and why.

Owns which layer is asked: with a source, whether it supports the answer; for an examination
question, what was learned from recorded answers to such; else whether the answer makes things up.
"""

from dataclasses import dataclass, replace
from typing import Final

from pointsman.contracts.messages import Judge
from pointsman.judge.domain.acceptance import Acceptance, Sibling, inputs_of
from pointsman.judge.domain.agreement import agreement_of, final_answer
from pointsman.judge.domain.answer_signs import AnswerSigns, answer_signs
from pointsman.judge.domain.case import Case, rests_on_tools
from pointsman.judge.domain.evidence import evidence_of
from pointsman.judge.domain.scoring import Score
from pointsman.judge.domain.sources import Source, source_of
from pointsman.judge.domain.support import Support, log_odds
from pointsman.judge.domain.text import clipped
from pointsman.judge.domain.verdict import Assessment
from pointsman.scorers.questions import options_of

TRUST: Final = 1.4
"""Log-odds of an answer of which nothing else is known: acceptable four times in five, as in
HaluEval general."""
RESULTS_MOST: Final = 0.7
"""What names and numbers that are in no tool's result take from the log-odds, if all are such.

Chosen, not fitted: no labelled set has answers after tools, and the fitted head, of prose, finds
no report of JSON supported. It moves the score; alone it rejects nothing at ``minScore`` 8, where
made-up numbers and ignored results are the rules' to find.
"""
AGREES: Final = 1.0
"""What a second model's same final answer is worth in log-odds, and another one against it.
Chosen, not fitted: no recorded set holds second answers to everyday requests."""
FEWEST_OPTIONS: Final = 3
_DOUBT: Final = 0.0
_MOST: Final = 0.5


@dataclass(frozen=True, kw_only=True)
class Heads:
    """The learned scorers, loaded."""

    support: Support
    acceptance: Acceptance


@dataclass(frozen=True, kw_only=True)
class _Expected:
    """See ``acceptance.Gain``."""

    weak: float
    strong: float


def assess(case: Case, rules: Score, heads: Heads) -> Assessment:
    """Join the rules with the layer that knows this kind of request."""
    failed = tuple(check.name for check in rules.checks if not check.passed)
    if case.command.answer.tool_calls or not case.answer_words:
        # Calls, or nothing: there is no text to have an opinion of.
        value, reasons = TRUST, ()
    else:
        value, reasons = _opinion(case, heads)
    return Assessment(
        log_odds=value,
        cap=rules.value,
        checks=rules.checks,
        critique=_critique(rules.critique, reasons),
        reasons=failed + reasons,
        usage=rules.usage,
    )


def preferred(case: Case, found: Assessment, other: Case, rules: Score, heads: Heads) -> Assessment:
    """Return ``found``, or what is thought of the second answer where that is the better one.

    ``other`` is the case with the two answers in each other's place, ``rules`` is its score. An
    answer that rests on tools is never given up for one without: the two go by different layers,
    and what nobody looked up would be held to less.
    """
    if rests_on_tools(case.command):
        return found
    said = assess(other, rules, heads)
    if _is_examination(case):
        # Both answers were recorded side by side; what was learned of the second is used as such.
        estimate = heads.acceptance.estimate(inputs_of(*_signs(case)))
        said = replace(said, log_odds=log_odds(estimate.sibling))
    if said.score <= found.score:
        return found
    return replace(said, prefers_sibling=True)


def _opinion(case: Case, heads: Heads) -> tuple[float, tuple[str, ...]]:
    source = source_of(case.question, case.prompt, case.outputs)
    if source is not None:
        return _supported(source, case, heads.support)
    if _is_examination(case):
        value, name = _learned(case, heads.acceptance), "answer_signs"
    else:
        value = -heads.support.unsupported_alone(case.question, case.answer)
        value, name = value + _siblings(case), "made_up"
    return value, (name,) if value < _DOUBT else ()


def _is_examination(case: Case) -> bool:
    has_source = source_of(case.question, case.prompt, case.outputs) is not None
    return not has_source and len(options_of(case.question)) >= FEWEST_OPTIONS


def _supported(source: Source, case: Case, support: Support) -> tuple[float, tuple[str, ...]]:
    if source.is_results:
        # A report may name the tools themselves.
        named = " ".join(
            (
                *(run.tool_id for run in case.runs),
                *(t.definition.function.name for t in case.command.tools),
            )
        )
        found = evidence_of(f"{source.question} {named}", source.text, case.answer)
        lost = max(found.novel_names, found.novel_numbers)
        return TRUST - RESULTS_MOST * lost, ("unsupported",) if lost > _MOST else ()
    value = -support.unsupported_by(source.question, source.text, case.answer)
    return value, ("unsupported",) if value < _DOUBT else ()


def _learned(case: Case, acceptance: Acceptance) -> float:
    signs, *siblings = _signs(case)
    signals = case.command.signals
    is_known = "ease" in signals.confidence or "gain" in signals.confidence
    strong = min(1.0, signals.ease + signals.gain)
    # What was expected of whoever wrote this: a stronger model was asked because more was.
    is_escalated = case.command.model in case.command.decision.escalations
    expected = _Expected(weak=strong if is_escalated else signals.ease, strong=strong)
    gain = expected if is_known else None
    sibling = siblings[0] if siblings else None
    return log_odds(acceptance.probability(signs, gain=gain, agreement=sibling))


def _signs(case: Case) -> tuple[AnswerSigns, *tuple[Sibling, ...]]:
    """What the trees look at: the answer's signs, then the second answer beside it, if any."""
    text = _second(case.command)
    signs = answer_signs(case.question, case.answer)
    if not text:
        return (signs,)
    agreement = agreement_of(case.answer, text)
    return signs, Sibling(signs=answer_signs(case.question, text), agreement=agreement)


def _siblings(case: Case) -> float:
    finals = final_answer(case.answer), final_answer(_second(case.command))
    if None in finals:
        return 0.0
    return AGREES if finals[0] == finals[1] else -AGREES


def _second(command: Judge) -> str:
    texts = (sibling.answer.text for sibling in command.siblings)
    return next((clipped(text) for text in texts if text.strip()), "")


def _critique(said: str, reasons: tuple[str, ...]) -> str:
    advice = " ".join(_ADVICE[name] for name in reasons)
    return f"{said} {advice}".strip()


_ADVICE: Final = {
    "unsupported": "Say only what the material supports, in its own terms.",
    "made_up": "Leave out what you are not certain of, and answer what was asked.",
    "answer_signs": "Work through it step by step, check the result, and state it once.",
}
