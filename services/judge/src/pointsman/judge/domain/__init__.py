"""What makes an answer good enough, as pure functions, and the ports of whoever scores it."""

from pointsman.judge.domain.case import Case, SchemaCheck, case_of, exchanged
from pointsman.judge.domain.opinion import Heads, assess, preferred
from pointsman.judge.domain.plan import PLAN_RULES, bar_for, judge_plan
from pointsman.judge.domain.scoring import RULES, Rule, Score, score_case
from pointsman.judge.domain.verdict import (
    Assessment,
    Critic,
    JudgeUnavailable,
    Scorer,
    label_of,
    reviewed,
    unreviewed,
    verdict_of,
    wants_sibling,
)

__all__ = [
    "PLAN_RULES",
    "RULES",
    "Assessment",
    "Case",
    "Critic",
    "Heads",
    "JudgeUnavailable",
    "Rule",
    "SchemaCheck",
    "Score",
    "Scorer",
    "assess",
    "bar_for",
    "case_of",
    "exchanged",
    "judge_plan",
    "label_of",
    "preferred",
    "reviewed",
    "score_case",
    "unreviewed",
    "verdict_of",
    "wants_sibling",
]
