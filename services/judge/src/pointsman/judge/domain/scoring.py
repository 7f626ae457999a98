"""From rules to a score, from a score to a verdict, and the port of whoever scores.

The score is 10 less the penalties of the rules that found something, never below 0. ``minScore`` 8
therefore forgives blemishes and stops what a reader would send back.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from pointsman.contracts.messages import Judge
from pointsman.contracts.parts import Check, Usage, Verdict
from pointsman.judge.domain import form, substance
from pointsman.judge.domain.case import Case
from pointsman.judge.domain.fault import Fault

BEST = 10.0


class JudgeUnavailable(Exception):
    """Whoever scores cannot; ``reason`` is for operators and holds no prompt and no answer."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, kw_only=True)
class Score:
    """What a scorer found: 0 to 10, by which checks, what to do better, and what it cost."""

    value: float
    checks: tuple[Check, ...] = ()
    critique: str = ""
    usage: Usage = field(default_factory=lambda: Usage(model="rules"))


class Scorer(Protocol):
    async def score(self, command: Judge) -> Score:
        """Return the score of the command's answer.

        A scorer that calls a model bounds the call by the request's deadline.
        Raises: JudgeUnavailable if it cannot tell; never a made-up score.
        """
        ...


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One check. ``penalty`` is what its gravest fault takes from the score."""

    name: str
    find: Callable[[Case], Fault | None]
    penalty: float


RULES: tuple[Rule, ...] = (
    Rule(name="empty", find=form.no_answer, penalty=10),
    Rule(name="truncated", find=form.cut_off, penalty=4),
    Rule(name="refusal", find=form.refusal, penalty=5),
    Rule(name="json", find=form.wrong_form, penalty=6),
    Rule(name="repetition", find=form.repetition, penalty=6),
    Rule(name="language", find=form.wrong_language, penalty=4),
    Rule(name="parts", find=substance.missing_parts, penalty=10),
    Rule(name="count", find=substance.wrong_count, penalty=4),
    Rule(name="numbers", find=substance.ungrounded_numbers, penalty=4),
    Rule(name="tools_failed", find=substance.failed_tools, penalty=5),
    Rule(name="results_ignored", find=substance.ignored_results, penalty=4),
    Rule(name="tools_unused", find=substance.unused_tools, penalty=2),
)

CALL_RULES: tuple[Rule, ...] = (Rule(name="tool_calls", find=form.wrong_calls, penalty=6),)
"""For an answer that calls the client's tools: there is no text to judge yet."""


_PASSED = {rule.name: Check(name=rule.name, passed=True) for rule in (*RULES, *CALL_RULES)}


def score_case(case: Case) -> Score:
    """Apply the rules, in the table's order."""
    rules = CALL_RULES if case.command.answer.tool_calls else RULES
    found = [(rule, rule.find(case)) for rule in rules]
    checks = tuple(
        _PASSED[rule.name]
        if fault is None
        else Check(name=rule.name, passed=False, penalty=round(rule.penalty * fault.severity, 2))
        for rule, fault in found
    )
    lost = sum(check.penalty for check in checks)
    return Score(
        value=round(max(0.0, BEST - lost), 2),
        checks=checks,
        critique=" ".join(fault.critique for _, fault in found if fault),
    )


def verdict_of(score: Score, *, min_score: float) -> Verdict:
    """Compare with the route's ``minScore``: at it or above is accepted."""
    return Verdict(
        label="accepted" if score.value >= min_score else "low",
        score=score.value,
        checks=score.checks,
        critique=score.critique,
    )
