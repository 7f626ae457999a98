"""From rules to a score.

The score is 10 less the penalties of the rules that found something, never below 0. ``minScore`` 8
therefore forgives blemishes and stops what a reader would send back.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache

from pointsman.contracts.parts import Check, Usage
from pointsman.judge.domain import form, substance
from pointsman.judge.domain.case import Case
from pointsman.judge.domain.fault import Fault

BEST = 10.0


@dataclass(frozen=True, kw_only=True)
class Score:
    """What the rules found: 0 to 10, by which checks, what to do better, and what it cost."""

    value: float
    checks: tuple[Check, ...] = ()
    critique: str = ""
    usage: Usage = field(default_factory=lambda: Usage(model="rules"))


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


def score_case(case: Case) -> Score:
    """Apply the rules, in the table's order."""
    return score_by(CALL_RULES if case.command.answer.tool_calls else RULES, case)


def score_by(rules: Sequence[Rule], case: Case) -> Score:
    """Apply some rules: 10 less their penalties, never below 0."""
    found = [(rule, rule.find(case)) for rule in rules]
    checks = tuple(
        _passed(rule.name)
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


@cache
def _passed(name: str) -> Check:
    """One value a rule: making them anew is a tenth of what the rules cost."""
    return Check(name=name, passed=True)
