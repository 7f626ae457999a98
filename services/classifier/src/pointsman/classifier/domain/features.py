"""What the words of a request say without a model: counts of marks and of telling words.

Owns the patterns (English) and their caps; what the counts mean is in ``signals``.
"""

import math
import re
from dataclasses import dataclass
from typing import Literal


def _words(*stems: str) -> re.Pattern[str]:
    return re.compile(rf"\b(?:{'|'.join(stems)})", re.IGNORECASE)


_REASONING = _words(
    r"analy[sz]", r"assess", r"audit", r"compar[ei]", r"contrast", r"correlat", r"critique",
    r"debug", r"deriv[ei]", r"design", r"diagnos", r"evaluat", r"forecast", r"investigat",
    r"justif", r"migrat", r"optimi[sz]", r"prove\b", r"proof", r"reconcil", r"refactor",
    r"root cause", r"step[ -]by[ -]step", r"trade-?offs?", r"troubleshoot", r"architect",
)  # fmt: skip
_PROBLEM = _words(
    r"calculate", r"comput", r"determin", r"estimate", r"evaluate", r"find the", r"how many ways",
    r"let \w\b", r"maximi[sz]", r"minimi[sz]", r"probability", r"show that", r"solve\b",
    r"suppose", r"such that", r"given that", r"if and only if", r"which of the following",
)  # fmt: skip
_CONSTRAINT = _words(
    r"at least", r"at most", r"exactly", r"except", r"must(?: not)?\b", r"no more than",
    r"only if", r"subject to", r"unless", r"without", r"assum(?:e|ing)", r"respectively",
)  # fmt: skip
_SCOPE = _words(r"all\b", r"every\b", r"across", r"entire", r"each of", r"whole")
_OPTION = re.compile(r"^\s*\(?[A-J][.)]\s", re.MULTILINE)
_MATH = re.compile(r"\\[a-z]{2,}|[∫∑√≤≥≡∨]|[\w)]\s?[\^=]\s?[\w(\-]|\b\d+(?:\.\d+)?\s?[×*/]\s?\d")
_CODE = re.compile(
    r"```|\b(?:def|class|return|import|SELECT|public|function)\s\w|\w\(\)|\.\w+\(|[{};]\s*$"
    r"|\b\w*(?:Exception|Error)\b",
    re.MULTILINE,
)
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")


@dataclass(frozen=True, kw_only=True)
class Features:
    """What the words alone say; each is capped, so that none decides by its length.

    ``length`` is the natural logarithm of the number of words; the rest are counts.
    """

    length: float
    reasoning: int
    problem: int
    constraints: int
    scope: int
    options: int
    math: int
    code: int
    numbers: int


def features(text: str) -> Features:
    def count(pattern: re.Pattern[str], cap: int) -> int:
        return min(cap, sum(1 for _ in pattern.finditer(text)))

    return Features(
        length=min(5.0, math.log1p(len(text.split()))),
        reasoning=count(_REASONING, 3),
        problem=count(_PROBLEM, 3),
        constraints=count(_CONSTRAINT, 3),
        scope=count(_SCOPE, 2),
        options=int(count(_OPTION, 3) == 3),
        math=count(_MATH, 3),
        code=count(_CODE, 3),
        numbers=count(_NUMBER, 4),
    )


_CALM = _words(
    r"no (?:rush|hurry)", r"not urgent", r"low priority", r"whenever",
    r"when you (?:have|get) time", r"at your (?:leisure|convenience)", r"some ?day\b",
    r"nice to have",
)  # fmt: skip
_PRESSING = _words(
    r"urgent", r"a\.?s\.?a\.?p\b", r"as soon as possible", r"immediately", r"emergency",
    r"right (?:now|away)", r"outage", r"(?:is|are|went) down\b", r"breach", r"hacked",
    r"compromised", r"stolen", r"fraud", r"data loss", r"losing (?:money|data|customers)",
    r"cannot wait", r"can't wait", r"within the (?:next )?hour", r"critical (?:incident|issue|bug)",
)  # fmt: skip


def urgency(text: str) -> tuple[Literal["low", "normal", "high"], float]:
    """Return how pressing the words say it is, and how sure that is (0..1)."""
    if _CALM.search(text):
        return "low", 0.9
    if _PRESSING.search(text):
        return "high", 0.9
    return "normal", 0.6
