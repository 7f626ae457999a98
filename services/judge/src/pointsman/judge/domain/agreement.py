"""The final answer a text comes to, and how far two answers to one request agree.

Owns finding the final answer and comparing; whether it is right is nobody's here.
"""

import math
import re
from dataclasses import dataclass, fields
from operator import attrgetter
from typing import Literal

from pointsman.judge.domain.text import STOPWORDS, clipped

READ_CHARACTERS = 6_000
"""Of a longer answer its first and last half of this is read."""

_STATED = re.compile(
    r"\banswer is\b[:\s]*(?:\*\*\s*)?\(?\$?(?:\\(?:text|boxed|mathrm|textbf)\{)?\(?"
    r"([A-J])\b(?!['’])"
)
_HEADED = re.compile(
    r"(?:^|\n)[ \t>*#]*(?:final )?answer[ \t*]*:[ \t*]*\(?([A-J])\b", re.IGNORECASE
)
_ALONE = re.compile(r"\s*\(?([A-J])[.)]?\s*")
_BOXED = re.compile(r"\\boxed\{([^{}]{1,60})\}")
_PHRASE = re.compile(
    r"\b(?:final answer|answer|result|total)(?: is| =|:)[ \t]*(?:\*\*)?([^\n]{1,80})", re.IGNORECASE
)
_NUMBER = re.compile(r"[-−]?\d+(?:,\d{3})*(?:\.\d+)?(?:[eE][-+]?\d+)?")
_WORD = re.compile(r"[a-z0-9]+")
_SHORT = 60
"""Characters of an answer that is its own final phrase."""


@dataclass(frozen=True, kw_only=True)
class FinalAnswer:
    """What an answer comes to. ``value`` is a capital letter, a number's shortest spelling, or
    words in small letters without marks.
    """

    kind: Literal["letter", "number", "phrase"]
    value: str


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """How far two answers agree. Shares are of what either says; truths are 0 or 1."""

    same_final: float
    lacks_final: float
    shared_words: float
    shared_numbers: float
    both_have_numbers: float

    @property
    def values(self) -> tuple[float, ...]:
        """The signs in the order of ``NAMES``."""
        return _all(self)


NAMES = tuple(field.name for field in fields(Agreement))
_all = attrgetter(*NAMES)


def final_answer(text: str) -> FinalAnswer | None:
    """Return what ``text`` comes to; None where it says so nowhere.

    A stated option letter goes before a boxed value, that before a phrase after "answer is",
    and a text of a few words is its own final answer.
    """
    letter = _STATED.search(text) or _HEADED.search(text) or _ALONE.fullmatch(text)
    if letter:
        return FinalAnswer(kind="letter", value=letter[1].upper())
    boxed = _BOXED.findall(text)
    if boxed:
        return _value(boxed[-1])
    phrases = _PHRASE.findall(text)
    if phrases:
        return _value(phrases[-1])
    return _value(text) if len(text) <= _SHORT else None


def agreement_of(one: str, other: str) -> Agreement:
    """Compare two answers to the same request. Symmetric."""
    finals = final_answer(one), final_answer(other)
    one, other = clipped(one, READ_CHARACTERS), clipped(other, READ_CHARACTERS)
    words = content_words(one), content_words(other)
    numbers = set(_NUMBER.findall(one)), set(_NUMBER.findall(other))
    return Agreement(
        same_final=float(finals[0] is not None and finals[0] == finals[1]),
        lacks_final=float(None in finals),
        shared_words=_shared(*words),
        shared_numbers=_shared(*numbers),
        both_have_numbers=float(bool(numbers[0] and numbers[1])),
    )


def content_words(text: str) -> set[str]:
    """Return the words and numbers of ``text`` that carry content, in small letters."""
    return set(_WORD.findall(text.lower())) - STOPWORDS


def _shared(one: set[str], other: set[str]) -> float:
    return len(one & other) / max(1, len(one | other))


def _value(text: str) -> FinalAnswer | None:
    found = _NUMBER.findall(text)
    # "12 apples" is a number, "in 1969 and 1972" is not one number.
    if len(found) == 1:
        number = float(found[0].replace(",", "").replace("−", "-"))
        if math.isfinite(number):
            return FinalAnswer(kind="number", value=f"{number:.6g}")
    words = " ".join(_WORD.findall(text.lower()))
    return FinalAnswer(kind="phrase", value=words) if words else None
