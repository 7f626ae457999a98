"""What the words of a request say about how hard it is: counts and marks, English, no model.

Owns the patterns. Read alike where a model is chosen and where its answer is judged.
"""

import math
import re
from dataclasses import dataclass, fields
from operator import attrgetter

_OPTION = re.compile(r"^[ \t]*\(?([A-J])[.)][ \t]*(\S.*)$", re.MULTILINE)
_NUMBER = re.compile(r"-?\d+(?:,\d{3})*(?:\.\d+)?(?:[eE][-+]?\d+)?")
_MATH = re.compile(r"[\\^_{}=+*/<>∫∑√≤≥≡∨]")
_NEGATION = re.compile(r"\b(?:not|except|false|incorrect|never)\b", re.IGNORECASE)
_ASKS_A_NUMBER = re.compile(
    r"calculat|comput|determin|\bfind\b|how (?:many|much)|what is the (?:value|probab|rate)"
    r"|estimate|evaluat",
    re.IGNORECASE,
)
_WHICH = re.compile(r"\bwhich (?:of|one)\b", re.IGNORECASE)
_STATEMENT = re.compile(r"\b(?:statement|True|False)")

LONGEST_TEXT = 8_000
"""Characters read of a request."""


@dataclass(frozen=True, kw_only=True)
class QuestionSigns:
    """Counts are capped or logarithms, shares are 0 to 1; truths are 0 or 1.

    ``stem`` is the text before the options, where there are any.
    """

    stem_words: float
    characters: float
    options: float
    numeric_options: float
    number_options: float
    numbers: float
    math: float
    has_negation: float
    asks_a_number: float
    has_gap: float
    option_length: float
    has_dollar: float
    asks_which: float
    longest_word: float
    has_quotation: float
    ends_in_question: float
    names_statements: float

    @property
    def values(self) -> tuple[float, ...]:
        """The signs in the order of ``NAMES``."""
        return _all(self)


NAMES = tuple(field.name for field in fields(QuestionSigns))
_all = attrgetter(*NAMES)


def options_of(text: str) -> dict[str, str]:
    """Return the lettered options of a multiple-choice request, by letter; none for any other."""
    found = {letter: words.strip() for letter, words in _OPTION.findall(text[-LONGEST_TEXT:])}
    # One line that begins with a letter and a stop is a list item or an initial.
    return found if len(found) > 1 and "A" in found else {}


def question_signs(text: str) -> QuestionSigns:
    """Return what the words of ``text`` say. Reads ``LONGEST_TEXT`` characters."""
    text = text[-LONGEST_TEXT:]
    options = list(options_of(text).values())
    stem = text[: first.start()] if options and (first := _OPTION.search(text)) else text
    count = max(1, len(options))
    numeric = [option for option in options if _NUMBER.search(option)]
    return QuestionSigns(
        stem_words=math.log1p(len(stem.split())),
        characters=math.log1p(len(text)),
        options=float(len(options)),
        numeric_options=len(numeric) / count,
        number_options=sum(len(_NUMBER.sub("", option)) < 8 for option in numeric) / count,
        numbers=float(min(10, len(_NUMBER.findall(stem)))),
        math=float(min(20, len(_MATH.findall(text)))),
        has_negation=float(_NEGATION.search(stem) is not None),
        asks_a_number=float(_ASKS_A_NUMBER.search(stem) is not None),
        has_gap=float("_" in stem),
        option_length=math.log1p(sum(map(len, options)) / count),
        has_dollar=float("$" in text),
        asks_which=float(_WHICH.search(stem) is not None),
        longest_word=math.log1p(max(map(len, text.split()), default=0)),
        has_quotation=float('"' in text),
        ends_in_question=float(stem.rstrip().endswith("?")),
        names_statements=float(_STATEMENT.search(text) is not None),
    )
