"""What the words of a request say without a model: counts of marks and of telling words.

Owns the patterns (English) and their caps; what the counts mean is in ``signals``.
"""

import math
import re
from dataclasses import dataclass
from itertools import islice
from typing import Literal


def _words(*stems: str) -> re.Pattern[str]:
    """Return a pattern for folded text of words that begin with one of ``stems``."""
    # Where no stem can begin is settled by one look; without it each stem is tried everywhere.
    firsts = "".join(sorted({stem[0] for stem in stems}))
    return re.compile(rf"(?=[{firsts}])\b(?:{'|'.join(stems)})")


def folded(text: str) -> str:
    """Return ``text`` in small letters, in as many characters.

    Finds what ``re.IGNORECASE`` finds with patterns of English letters, in a third of the time.
    """
    if not text.isascii():
        # These count as i and s there, and would stay what they are, or become two, in lower().
        text = text.replace("\u0130", "i").replace("\u0131", "i").replace("\u017f", "s")
    return text.lower()


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
_OPTION = re.compile(r"^[^\S\n]*\(?[A-J][.)]\s", re.MULTILINE)
_MATH = re.compile(r"\\[a-z]{2,}|[∫∑√≤≥≡∨]|[\w)]\s?[\^=]\s?[\w(\-]|\b\d+(?:\.\d+)?\s?[×*/]\s?\d")
_MATH_SIGN = re.compile(r"[\\∫∑√≤≥≡∨^=×*/]")
"""What every match of ``_MATH`` holds; most texts hold none, which is seen at once."""
_CODE_MARKS = r"```|\b(?:def|class|return|import|SELECT|public|function)\s\w|\.\w+\(|[{};]\s*$"
_CODE = re.compile(rf"(?=[`dcriSpf.{{}};])(?:{_CODE_MARKS})", re.MULTILINE)
_CODE_OR_CALL = re.compile(rf"{_CODE_MARKS}|\w\(\)|\b\w*(?:Exception|Error)\b", re.MULTILINE)
"""Dear, since any word may end in what it looks for; asked where ``_CALL_SIGNS`` are."""
_CALL_SIGNS = ("()", "Exception", "Error")
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
    small = folded(text)
    has_math = _MATH_SIGN.search(text) is not None
    code = _CODE_OR_CALL if any(sign in text for sign in _CALL_SIGNS) else _CODE
    return Features(
        length=min(5.0, math.log1p(len(text.split()))),
        reasoning=_count(_REASONING, small, 3),
        problem=_count(_PROBLEM, small, 3),
        constraints=_count(_CONSTRAINT, small, 3),
        scope=_count(_SCOPE, small, 2),
        options=int(_count(_OPTION, text, 3) == 3),
        math=_count(_MATH, text, 3) if has_math else 0,
        code=_count(code, text, 3),
        numbers=_count(_NUMBER, text, 4),
    )


def _count(pattern: re.Pattern[str], text: str, cap: int) -> int:
    """Return how often ``pattern`` occurs, reading no further than to ``cap``."""
    return sum(1 for _ in islice(pattern.finditer(text), cap))


_CALM = _words(
    r"no (?:rush|hurry)", r"not urgent", r"low priority", r"whenever",
    r"when you (?:have|get) time", r"at your (?:leisure|convenience)", r"some ?day\b",
    r"nice to have",
)  # fmt: skip
_PRESSING = _words(
    r"urgent", r"a\.?s\.?a\.?p\b", r"as soon as possible", r"immediately", r"emergency",
    r"right (?:now|away)", r"outage", r"is down\b", r"are down\b", r"went down\b", r"breach",
    r"hacked", r"compromised", r"stolen", r"fraud", r"data loss", r"cannot wait", r"can't wait",
    r"losing (?:money|data|customers)", r"within the (?:next )?hour",
    r"critical (?:incident|issue|bug)",
)  # fmt: skip


def urgency(text: str) -> tuple[Literal["low", "normal", "high"], float]:
    """Return how pressing the words say it is, and how sure that is (0..1)."""
    small = folded(text)
    if _CALM.search(small):
        return "low", 0.9
    if _PRESSING.search(small):
        return "high", 0.9
    return "normal", 0.6
