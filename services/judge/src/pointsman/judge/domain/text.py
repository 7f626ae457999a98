"""Words, stems and sentences of ordinary text. Light: no dictionary, no model."""

import re
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from functools import lru_cache

_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)?")
_ASCII_WORD = re.compile(r"[a-z0-9]+(?:'[a-z0-9]+)?")
_SENTENCE_END = re.compile(
    r"(?<=[.!?。！？])(?<!\bMr\.)(?<!\bMrs\.)(?<!\bMs\.)(?<!\bDr\.)(?<!\bvs\.)(?<!\be\.g\.)(?<!\bi\.e\.)"
    r"(?<!\b[A-Z]\.)\s+|\n+"
)
_FENCE = re.compile(r"```.*?(?:```|\Z)", re.DOTALL)
LIST_ITEM = re.compile(r"^\s*(?:\d{1,3}[.)]|[-*•–])\s+(?P<text>\S.*)$")

_NOT_ASCII = re.compile(r"[^\x00-\x7f]")
_NO_ASCII_LETTERS = bytes(code for code in range(128) if not chr(code).isalpha())

LONGEST_TEXT = 50_000
"""Characters that are read of one text: its first and last half of this. Bounds the work."""


def vocabulary(text: str) -> frozenset[str]:
    """Return the words of a list written as text."""
    return frozenset(text.split())


STOPWORDS = vocabulary(
    """a about above after again all also am an and any are as at be because been before being
    below between both but by can could did do does doing don down during each few for
    from further get had has have having he her here hers him his how i if in into is it
    its itself just let like me might more most must my no nor not now of off on once
    only or other our ours out over own please same she should so some such t than that
    the their theirs them then there these they this those through to too under until up
    upon us very was we were what when where which while who whom why will with would
    you your yours s d ll m re ve"""
)

_SUFFIXES = tuple(
    sorted(
        vocabulary(
            """ations ation ements ement ments ment ness ingly edly ities ity ings ing ions ion
            ers er ies es ed ly al s"""
        ),
        key=len,
        reverse=True,
    )
)
_SHORTEST_STEM = 4
_LONGEST_STEM = 8


def clipped(text: str, size: int = LONGEST_TEXT) -> str:
    """Return ``text``, or its first and last half of ``size`` characters."""
    if len(text) <= size:
        return text
    return f"{text[: size // 2]}\n{text[-size // 2 :]}"


def words(text: str) -> list[str]:
    found: list[str]
    if text.isascii():
        found = _ASCII_WORD.findall(text.lower())
        return found
    found = _WORD.findall(text)
    # All at once: no word holds a space, and none changes by its neighbours when it is lowered.
    return " ".join(found).lower().split(" ") if found else []


def first_word(text: str) -> str:
    match = _WORD.search(text)
    return match.group().lower() if match else ""


def sentences(text: str) -> list[str]:
    return [piece.strip() for piece in _SENTENCE_END.split(text) if piece.strip()]


def without_code(text: str) -> str:
    return _FENCE.sub(" ", text)


@lru_cache(maxsize=20_000)
def stem(word: str) -> str:
    """Return what is left of ``word`` without its common English endings."""
    word = re.split("['’]", word.lower(), maxsplit=1)[0]
    for suffix in _SUFFIXES:
        if word.endswith(suffix) and len(word) - len(suffix) >= _SHORTEST_STEM - 1:
            word = word[: -len(suffix)]
            break
    if len(word) > _SHORTEST_STEM and word[-1] in "eiy":
        word = word[:-1]
    if len(word) > _SHORTEST_STEM and word[-1] == word[-2]:
        word = word[:-1]
    return word[:_LONGEST_STEM]


def stems(tokens: Iterable[str]) -> frozenset[str]:
    """Return the stems of the words that carry content; numbers carry none here."""
    return frozenset(
        stem(token)
        for token in tokens
        if token not in STOPWORDS and len(token) > 1 and not token[0].isdigit()
    )


def is_mentioned(stemmed: str, among: frozenset[str], in_order: Sequence[str]) -> bool:
    """Whether a stem occurs, or one that begins alike: ``compar`` and ``comparis``.

    ``in_order`` is ``among``, sorted, so that many stems can be looked for in many.
    """
    if stemmed in among:
        return True
    if len(stemmed) <= _SHORTEST_STEM:
        return False
    place = bisect_left(in_order, stemmed)
    if place < len(in_order) and in_order[place].startswith(stemmed):
        return True
    sizes = range(_SHORTEST_STEM + 1, len(stemmed))
    return any(stemmed[:size] in among for size in sizes)


def is_spaced(text: str) -> bool:
    """Whether the text is in a script whose words these functions can tell apart."""
    ascii_letters, others = letters_of(clipped(text, 2_000))
    total = ascii_letters + len(others)
    latin = ascii_letters + sum(char < "\u0250" for char in others)
    return not total or latin / total > 0.7


def letters_of(text: str) -> tuple[int, list[str]]:
    """Return how many ASCII letters there are, and the other letters."""
    ascii_letters = len(text.encode("ascii", "ignore").translate(None, _NO_ASCII_LETTERS))
    if text.isascii():
        return ascii_letters, []
    return ascii_letters, [char for char in _NOT_ASCII.findall(text) if char.isalpha()]


class Wording:
    """A pattern in lower case, to be found in any case."""

    def __init__(self, pattern: str) -> None:
        self._any_case = re.compile(pattern, re.IGNORECASE)
        self._lower_case = re.compile(pattern)

    def is_in(self, text: str) -> bool:
        # Ignoring case costs three times as much as lowering the text first. Beyond ASCII the two
        # are not the same: some letters have cases that lowering does not find.
        if text.isascii():
            return self._lower_case.search(text.lower()) is not None
        return self._any_case.search(text) is not None
