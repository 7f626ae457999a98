"""What makes an answer good enough, as pure functions, and the port of whoever scores it."""

from pointsman.judge.domain.case import Case, SchemaCheck, case_of
from pointsman.judge.domain.scoring import (
    RULES,
    JudgeUnavailable,
    Rule,
    Score,
    Scorer,
    score_case,
    verdict_of,
)

__all__ = [
    "RULES",
    "Case",
    "JudgeUnavailable",
    "Rule",
    "SchemaCheck",
    "Score",
    "Scorer",
    "case_of",
    "score_case",
    "verdict_of",
]
