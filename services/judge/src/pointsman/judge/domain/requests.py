"""What a request asks for: its parts, and the words an answer to each would hold.

English imperatives and questions, by plain rules. A sentence that asks for nothing is no part.
"""

import re
from dataclasses import dataclass

from pointsman.judge.domain.text import (
    LIST_ITEM,
    Wording,
    clipped,
    first_word,
    is_spaced,
    sentences,
    stems,
    vocabulary,
    without_code,
    words,
)

_ASKING = vocabulary(
    """add advise allocate analyse analyze arrange argue assess audit book build
    calculate cancel change check choose cite classify compare compose compute configure
    contrast convince count create debug define delete demonstrate deploy derive
    describe design determine develop diagnose disable discuss draft enable estimate
    evaluate examine explain extract find forecast generate give help identify
    illustrate implement include inspect install investigate invent justify list locate
    look mention migrate move name offer open optimise optimize organise organize
    outline pick plan predict prepare present prioritise prioritize propose prove
    provide rank recommend refactor remind remove report research reset restart review
    say schedule search select send set show sketch solve sort specify state suggest
    summarise summarize tell test track transfer update validate verify weigh write"""
)
_REWORKING = vocabulary(
    """translate rewrite rephrase paraphrase convert proofread correct edit reformat format
    shorten simplify transform"""
)
_CONSTRAINING = vocabulary(
    """answer be keep use make do don't avoid limit ensure respond reply return remember assume
    pretend act"""
)
_QUESTIONS = vocabulary("what which who whom whose when where why how")

_ASK_VERBS = _ASKING | _REWORKING
_VERB = "|".join(sorted(_ASK_VERBS))
_WH = "|".join(sorted(_QUESTIONS))
_AUXILIARIES = vocabulary("am are can could did do does has have is should was were will would")
_ASKING_WORDS = _ASK_VERBS | _QUESTIONS | _AUXILIARIES
_SOFT = r"(?:please|also|then|finally|next|afterwards|now|lastly|secondly|first)"
_CLAUSE_PATTERN = (
    rf"(?:[,;]\s*|(?<!\s)\s+)(?:(?:and|then|also|plus)\s+)(?:{_SOFT}\s+){{0,3}}(?:to\s+)?"
    rf"(?=(?:{_VERB}|{_WH})\b(?!\s+(?:of|or|and)\b))"
    rf"|(?<!\s)\s*[,;]\s*(?:{_SOFT}\s+){{0,3}}(?=(?:{_VERB}|what|why|how)\b(?!\s+(?:of|or|and)\b))"
)
"""Where one ask of a sentence ends and the next begins: "..., then list", "and how do".

Tried only where a run of spaces begins, and with few softening words: else each place of a long run
of either would be tried with all that follow.
"""
_CLAUSE = re.compile(_CLAUSE_PATTERN, re.IGNORECASE)
_HAS_CLAUSES = Wording(_CLAUSE_PATTERN)
_INLINE_NUMBER = re.compile(r"(?<=\s)\(?([1-9])\)\s+(?=[A-Za-z])")
_INTRODUCES = re.compile(
    r":\s*$|\bfollowing\s+(?:questions?|problems?|tasks?|points?)\b|^\w+\s+(?:the\s+|your\s+)?answers?\b",
    re.IGNORECASE,
)
_POLITE = re.compile(
    rf"^(?:(?:{_SOFT}|and|so|hi|hello|hey|ok|okay|well)[,!]?\s+)*"
    r"(?:(?:can|could|would|will)\s+you\s+(?:please\s+)?|i(?:\s+need|\s+want|\s+would\s+like|'d\s+like)"
    r"\s+(?:you\s+)?(?:to\s+)?|help\s+me\s+(?:to\s+)?|let's\s+|tell\s+me\s+(?:about\s+)?)?",
    re.IGNORECASE,
)
_POLITE_REQUEST = re.compile(
    rf"^(?:(?:{_SOFT}|and|so|hi|hello|hey|ok|okay|well)[,!]?\s+)*"
    r"(?:can|could|would|will|i\s+need|i\s+want|i\s+would|i'd|help|let's|tell)\b",
    re.IGNORECASE,
)
_QUOTED = re.compile(r"\"[^\"\n]{12,}\"|“[^“”\n]{12,}”|(?<=\s)'[^'\n]{12,}'(?=[\s.,;?!])")
"""Words the request speaks about, not words that ask."""
_ASKS_EACH_ITEM = re.compile(
    r"\b(?:answer|address|cover|include|discuss|explain|describe)s?\b|\b(?:questions?|tasks?|do|tell)\b",
    re.IGNORECASE,
)
_ITEMS_ARE_DATA = re.compile(
    r"\b(?:sort|rank|order|classify|categori[sz]e|translate|summari[sz]e|choose|pick|which|rewrite"
    r"|options?|data|numbers|words|ingredients|facts|context)\b",
    re.IGNORECASE,
)
_GENERIC = stems(
    vocabulary(
        """answer question example detail brief short concise simple term sentence word
        paragraph list step way thing point reason part following below above item
        information info sure request one two three four five six seven eight nine
        ten first second third next last main key good best different various
        important number use make need want know tell give show mean work matter happen
        much many long often calculate compute describe estimate explain provide suggest"""
    )
)

LONGEST_REQUEST = 6_000
MOST_PARTS = 12


@dataclass(frozen=True, kw_only=True)
class Part:
    """One thing asked for. ``stems`` are the content words by which an answer to it is known."""

    text: str
    stems: frozenset[str]


def parts_of(request: str) -> tuple[Part, ...]:
    """Return the parts an answer must cover, in their order; fewer than two means: all of it."""
    text = clipped(_QUOTED.sub(" ", without_code(request)), LONGEST_REQUEST)
    if not is_spaced(text):
        return ()
    found: list[Part] = []
    asks = _asks(text)
    if len(asks) > 1:
        asks = [ask for ask in asks if not _INTRODUCES.search(ask)]
    for ask in asks:
        part = Part(text=ask, stems=content_of(ask))
        if part.stems and all(part.stems != other.stems for other in found):
            found.append(part)
    return tuple(found[:MOST_PARTS])


def content_of(ask: str) -> frozenset[str]:
    """Return the stems of what an ask is about, without its verb and words that fit any ask."""
    tokens = words(_without_polite(ask))
    if tokens and tokens[0] in _ASK_VERBS:
        tokens = tokens[1:]
    return stems(tokens) - _GENERIC


def _asks(text: str) -> list[str]:
    if len(_INLINE_NUMBER.findall(text)) > 1:
        text = _INLINE_NUMBER.sub(r"\n\1) ", text)
    lines = text.splitlines()
    items = [match.group("text") for line in lines if (match := LIST_ITEM.match(line))]
    around = "\n".join(line for line in lines if not LIST_ITEM.match(line))
    asks = [clause for sentence in sentences(around) for clause in _clauses(sentence)]
    if len(items) > 1 and _are_asks(items, around):
        asks += [item.strip(" ,;") for item in items]
    return asks


def _are_asks(items: list[str], around: str) -> bool:
    asking = sum(bool(_clauses(item)) for item in items)
    if asking * 2 >= len(items):
        return True
    leads = [line for line in around.splitlines() if line.rstrip().endswith(":")]
    return any(_ASKS_EACH_ITEM.search(line) and not _ITEMS_ARE_DATA.search(line) for line in leads)


def _clauses(sentence: str) -> list[str]:
    """The asks of one sentence; none if it only tells, constrains or reworks a given text."""
    if ":" in sentence and first_word(_without_polite(sentence)) in _REWORKING:
        return []  # what follows the colon is the text to rework
    pieces = _CLAUSE.split(sentence) if _HAS_CLAUSES.is_in(sentence) else [sentence]
    pieces = [piece.strip(" ,;") for piece in pieces]
    is_question = sentence.rstrip().endswith("?")
    asks = [piece for piece in pieces if piece and _is_ask(piece, is_question=is_question)]
    return asks or ([sentence] if is_question else [])


def _is_ask(clause: str, *, is_question: bool) -> bool:
    rest = _without_polite(clause)
    first = first_word(rest)
    if first in _CONSTRAINING or first in _REWORKING:
        return False
    if is_question:
        return first in _ASKING_WORDS
    if len(rest) < len(clause) and first not in _AUXILIARIES:
        return bool(_POLITE_REQUEST.match(clause)) or first in _ASK_VERBS
    return first in _ASK_VERBS or first in {"what", "how", "why"}


def _without_polite(ask: str) -> str:
    match = _POLITE.match(ask)
    return ask[match.end() :] if match else ask
