"""What a request asks for: its parts, their kind, and the words an answer should take up.

Plain rules over English text; good enough for a simulated model, no more.
"""

import re
from dataclasses import dataclass
from typing import Literal

Kind = Literal["list", "choice", "code", "write", "yes_no", "explain", "action"]

LIST_VERBS = frozenset({"list", "name", "suggest", "recommend", "give", "provide", "propose"})
WRITE_VERBS = frozenset({"write", "draft", "compose", "create", "generate", "rewrite", "make"})
EXPLAIN_VERBS = frozenset(
    {"explain", "describe", "tell", "compare", "summarise", "summarize", "discuss", "define"}
    | {"analyse", "analyze", "outline", "translate", "show", "identify", "say", "evaluate"}
)
ACTION_VERBS = frozenset(
    {"change", "audit", "check", "find", "plan", "book", "cancel", "calculate", "compute", "fix"}
    | {
        "set",
        "open",
        "close",
        "send",
        "order",
        "review",
        "convert",
        "help",
        "turn",
        "add",
        "update",
    }
    | {"remind", "play", "transfer", "report", "count", "sort", "choose", "pick", "design", "solve"}
    | {"estimate", "prepare", "mark", "build", "classify", "include", "investigate", "edit"}
    | {"arrange", "replace", "remove", "read", "look", "point", "quote", "end", "start", "keep"}
)
QUESTION_WORDS = frozenset(
    {"how", "what", "why", "when", "where", "who", "which", "whose", "what's"}
)
AUXILIARIES = frozenset(
    {
        "can",
        "could",
        "is",
        "are",
        "do",
        "does",
        "did",
        "should",
        "would",
        "will",
        "may",
        "am",
        "has",
    }
    | {"have", "was", "were"}
)
IMPERATIVES = LIST_VERBS | WRITE_VERBS | EXPLAIN_VERBS | ACTION_VERBS

NUMBER_WORDS = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten",
    "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen",
    "nineteen", "twenty",
)  # fmt: skip

STOPWORDS = frozenset({
    "a", "an", "the", "and", "or", "but", "if", "then", "than", "of", "to", "in", "on", "at",
    "by", "for", "with", "from", "as", "is", "are", "was", "were", "be", "been", "am", "do",
    "does", "did", "can", "could", "should", "would", "will", "shall", "may", "might", "must",
    "have", "has", "had", "i", "you", "he", "she", "it", "we", "they", "me", "him", "her",
    "us", "them", "my", "your", "his", "its", "our", "their", "this", "that", "these",
    "those", "there", "here", "what", "which", "who", "whom", "whose", "how", "why", "when",
    "where", "not", "no", "so", "too", "very", "just", "also", "please", "some", "any", "all",
    "into", "about", "out", "up", "down", "over", "under", "again", "more", "most", "other",
    "such", "only", "own", "same", "get", "got", "let", "s", "t", "don", "didn", "isn",
    "want", "need", "like", "tell", "know",
})  # fmt: skip

_SENTENCE = re.compile(r"(?<=[.?!])\s+|\n+|;\s+")
_STARTER = "|".join(sorted(IMPERATIVES | QUESTION_WORDS, key=len, reverse=True))
_CLAUSE = re.compile(
    rf"(?:,\s*(?:and\s+|then\s+|and\s+then\s+|also\s+)*|\s+and\s+(?:then\s+|also\s+)?|\s+then\s+)"
    rf"(?=(?:please\s+)?(?:{_STARTER})\b)",
    re.IGNORECASE,
)
_WORD = re.compile(r"[<\[]?[A-Za-z0-9][\w'@./:+-]*[\w>\]]|[A-Za-z0-9]")
_OPTION = re.compile(r"^\(([A-J])\)\s*(.+)$", re.MULTILINE)
_COUNT = re.compile(
    rf"\b({'|'.join(NUMBER_WORDS[2:])}|[2-9]|1\d|20)\s+(?:[\w-]+\s+){{0,3}}?[\w-]+s\b",
    re.IGNORECASE,
)
_CODE = re.compile(
    r"\b(function|python|javascript|sql|regex|bash|script|code|java|html|css)\b", re.IGNORECASE
)
_MARKER = re.compile(r"^\s*(?:[-*•]|\d+[.)])\s+")
_POLITE = re.compile(
    r"^(?:(?:please|kindly|also|and|then|so|now|ok|hi|hello|hey)[,\s]+"
    r"|(?:can|could|would|will) you (?:please )?)+",
    re.IGNORECASE,
)

MAX_ASKS = 8


@dataclass(frozen=True, kw_only=True)
class Ask:
    """One thing the user asks for. ``count`` is how many items were asked for, if said."""

    text: str
    kind: Kind
    count: int | None = None


@dataclass(frozen=True, kw_only=True)
class Task:
    """A request taken apart. ``context`` are sentences that ask for nothing."""

    asks: tuple[Ask, ...]
    context: tuple[str, ...] = ()
    options: tuple[tuple[str, str], ...] = ()


def words_of(text: str) -> tuple[str, ...]:
    """Return the words of ``text`` as written, placeholders such as ``<EMAIL_1>`` whole."""
    return tuple(match.group() for match in _WORD.finditer(text))


def content_words(text: str) -> tuple[str, ...]:
    """Return the words that carry meaning, as written, in order, each once."""
    found = {word.lower(): word for word in reversed(words_of(text)) if _carries_meaning(word)}
    return tuple(reversed(found.values()))


def _carries_meaning(word: str) -> bool:
    return word.lower() not in STOPWORDS and (len(word) > 1 or word.isdigit())


def parse(text: str) -> Task:
    """Take a user's text apart into what it asks and what it only tells."""
    options = tuple((m.group(1), m.group(2).strip()) for m in _OPTION.finditer(text))
    stem = _OPTION.sub("", text) if options else text
    clauses = [
        clause
        for sentence in _SENTENCE.split(stem)
        for clause in _CLAUSE.split(_MARKER.sub("", sentence))
        if content_words(clause) or clause.strip().endswith("?")
    ]
    asking = [clause.strip() for clause in clauses if _is_ask(clause)]
    if not asking:
        asking = [" ".join(stem.split())]
        clauses = []
    telling = tuple(clause.strip() for clause in clauses if not _is_ask(clause))
    asks = tuple(_ask(clause, has_options=bool(options)) for clause in asking[:MAX_ASKS])
    return Task(asks=asks, context=telling, options=options)


def plain(text: str) -> str:
    """Return ``text`` on one line, without greeting, politeness and closing marks."""
    return _POLITE.sub("", " ".join(text.split())).rstrip(" .?!:,")


def first_word(text: str) -> str:
    words = words_of(plain(text))
    return words[0].lower() if words else ""


def _is_ask(clause: str) -> bool:
    stripped = clause.strip()
    first = first_word(stripped)
    if stripped.endswith("?") or first in IMPERATIVES or first in QUESTION_WORDS:
        return True
    wishes = re.search(r"\bI(?:'d| would)? (?:want|need|like) (?:you )?to\b", stripped)
    return first in AUXILIARIES or wishes is not None


def _ask(clause: str, *, has_options: bool) -> Ask:
    count = _count(clause)
    return Ask(text=clause, kind="choice" if has_options else _kind(clause, count), count=count)


def _kind(clause: str, count: int | None) -> Kind:
    first = first_word(clause)
    if _CODE.search(clause) and (first in WRITE_VERBS or first in AUXILIARIES):
        return "code"
    if count is not None and (first in LIST_VERBS | WRITE_VERBS or first in {"what", "which"}):
        return "list"
    if first in {"list", "name", "suggest", "recommend"} or (
        first in LIST_VERBS and "list" in words_of(clause.lower())
    ):
        return "list"
    if first in WRITE_VERBS:
        return "write"
    if first in AUXILIARIES:
        return "yes_no"
    return "action" if first in ACTION_VERBS | LIST_VERBS else "explain"


def _count(clause: str) -> int | None:
    match = _COUNT.search(clause)
    if match is None:
        return None
    word = match.group(1).lower()
    return NUMBER_WORDS.index(word) if word in NUMBER_WORDS else int(word)
