"""What makes an answer without a source risky: what was asked for, and what the answer asserts.

Owns the signs and the hashed words that a learned head reads. Knows no weights; ``support`` does.
"""

import math
import re
import zlib
from collections.abc import Iterable
from functools import lru_cache
from typing import Final

from pointsman.judge.domain.text import STOPWORDS, clipped, stem, words

BUCKETS: Final = 512
"""Words are hashed into so many numbers, for the question and for the answer each."""
LONGEST_TEXT: Final = 3_000

_WHEN_ASKED: Final[tuple[tuple[str, str], ...]] = (
    (
        "asks_current",
        r"\b(?:find|link|website|article|latest|current|recent|news|price|today)\b|20[2-9]\d",
    ),
    (
        "asks_counting",
        r"\b(?:count|how many|number of|words?|letters?|syllables?|rhym|anagram|sequence)",
    ),
    (
        "asks_sums",
        r"\b(?:calculate|solve|compute|sum|multiply|equation|square|percent)\b|\d\s*[-+*/=]",
    ),
    ("asks_text", r"\b(?:write|compose|create|story|poem|essay|letter|email|design)\b"),
    ("asks_list", r"\b(?:list|name|give|examples?|suggest)\b"),
    ("asks_source", r"\b(?:quote|book|movie|song|author|who|when|paper|lyrics|wrote|founded)\b"),
    (
        "asks_rework",
        r"\b(?:summar|paraphras|rewrit|rephras|edit|translat|convert|classif|identif|extract)",
    ),
    ("asks_reason", r"\b(?:why|explain|describe|how|compare)\b"),
)
_ASKED = tuple((name, re.compile(pattern)) for name, pattern in _WHEN_ASKED)
_DISCLAIMS = re.compile(r"\bai language model\b|\bi'm sorry\b|\bi cannot\b|\bunable\b|\bas an ai\b")
_NUMBERS = re.compile(r"\d+")
_YEARS = re.compile(r"\b(?:1[5-9]\d\d|20\d\d)\b")
_CAPITALS = re.compile(r"\b[A-Z][a-z]+")
_INNER_CAPITALS = re.compile(r"(?<=[a-z,] )[A-Z][a-z]+")
_ITEMS = re.compile(r"^[^\S\n]*(?:\d+\.|[-*•])\s", re.MULTILINE)

NAMES: Final = (
    *(name for name, _ in _WHEN_ASKED),
    "answer_length", "question_length", "numbers", "question_digits", "capitals",
    "question_names", "lines", "items", "links", "quotes", "code", "brackets", "semicolons",
    "disclaims", "years", "question_colon", "question_quotes", "question_lines",
)  # fmt: skip


def claim_signs(question: str, answer: str) -> list[float]:
    """Return the signs in the order of ``NAMES``; counts are logarithms or per word."""
    question, answer = clipped(question, LONGEST_TEXT), clipped(answer, LONGEST_TEXT)
    asked, told = question.lower(), answer.lower()
    count = max(1, answer.count(" ") + answer.count("\n") + 1)
    return [
        *(float(pattern.search(asked) is not None) for _, pattern in _ASKED),
        math.log1p(len(answer)),
        math.log1p(len(question)),
        len(_NUMBERS.findall(answer)) / count,
        math.log1p(sum(map(len, _NUMBERS.findall(question)))),
        len(_CAPITALS.findall(answer)) / count,
        math.log1p(len(_INNER_CAPITALS.findall(question))),
        math.log1p(answer.count("\n")),
        math.log1p(len(_ITEMS.findall(answer))),
        float("http" in told),
        float('"' in answer),
        float("```" in answer),
        float("(" in answer),
        math.log1p(answer.count(";")),
        float(_DISCLAIMS.search(told[:600]) is not None),
        math.log1p(len(_YEARS.findall(answer))),
        float(":" in question),
        float('"' in question),
        float("\n" in question),
    ]


def word_buckets(text: str) -> tuple[list[int], float]:
    """Return the buckets of the different words of ``text``, and the weight of each.

    A word counts once however often it is said; the weights' squares add up to 1.
    """
    found = _different(words(clipped(text, LONGEST_TEXT)))
    return [_bucket(word) for word in found], 1 / math.sqrt(max(1, len(found)))


def _different(tokens: Iterable[str]) -> set[str]:
    return {token if token in STOPWORDS else stem(token) for token in tokens}


@lru_cache(maxsize=20_000)
def _bucket(word: str) -> int:
    return zlib.crc32(word.encode()) % BUCKETS
