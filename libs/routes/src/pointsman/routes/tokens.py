"""From the text of a condition to its tokens, each with the column it starts at.

Owns spelling and ``ConditionError``; the grammar is in ``condition``.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, cast


class ConditionError(ValueError):
    """A condition cannot be used. ``column`` counts from 1; ``path`` is the field, where known."""

    def __init__(self, text: str, column: int, reason: str, *, path: str = "") -> None:
        super().__init__(f"column {column}: {reason}")
        self.text = text
        self.column = column
        self.reason = reason
        self.path = path

    @property
    def excerpt(self) -> str:
        """The condition on one line and, below it, a caret at the error."""
        line = re.sub(r"\s", " ", self.text)
        return f"{line}\n{' ' * (self.column - 1)}^"


@dataclass(frozen=True)
class Token:
    kind: Literal["word", "number", "text", "operator", "mark", "end"]
    text: str
    column: int


KEYWORDS = frozenset({"and", "or", "not", "in"})
_OPERATORS = frozenset({"==", "!=", "<", "<=", ">", ">="})
_TOKEN = re.compile(
    r"""(?P<number>-?\d+(?:\.\d+)?)(?![\w.])
    |(?P<word>[^\W\d][\w.-]*)
    |(?P<text>"[^"]*"|'[^']*')
    |(?P<operator>[=!<>]=?)
    |(?P<mark>[\[\](),])""",
    re.VERBOSE,
)
_HINTS = {
    "&": "use 'and'",
    "|": "use 'or'",
    '"': "the quotation mark is never closed",
    "'": "the quotation mark is never closed",
}


def tokens(text: str) -> Iterator[Token]:
    at = 0
    while at < len(text):
        if text[at].isspace():
            at += 1
            continue
        found = _TOKEN.match(text, at)
        if found is None:
            hint = "words that start with a digit need quotation marks"
            hint = _HINTS.get(text[at], hint if text[at].isdigit() else "not understood here")
            raise ConditionError(text, at + 1, f"{text[at]!r}: {hint}")
        kind = cast("Literal['word', 'number', 'text', 'operator', 'mark']", found.lastgroup)
        if kind == "operator" and found[0] not in _OPERATORS:
            hint = "'=='" if found[0] == "=" else "'not' or '!='"
            raise ConditionError(text, at + 1, f"{found[0]!r}: use {hint}")
        yield Token(kind, found[0], at + 1)
        at = found.end()
    yield Token("end", "", len(text) + 1)
