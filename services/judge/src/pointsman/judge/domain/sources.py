"""What an answer was given to go by, apart from what was asked: tools' results, or a text in the
request."""

import re
from dataclasses import dataclass
from typing import Final

from pointsman.judge.domain.text import Wording, words

GIVES_SOURCE: Final = Wording(
    r"\b(?:context|passage|article|document|excerpt|transcript)\b\s*:"
    r"|\b(?:according to|based (?:only |solely )?on|using only|from)\s+"
    r"(?:only\s+)?(?:the|this|these)\s+"
    r"(?:following|above|below|given|provided|text|passage|context|document|article|information|table)"
)
FEWEST_WORDS: Final = 25
_PARAGRAPHS = re.compile(r"\n\s*\n")
_MARKED = re.compile(
    r"\b(?:context|passage|article|document|excerpt|transcript)\b\s*:\s*", re.IGNORECASE
)


@dataclass(frozen=True, kw_only=True)
class Source:
    """``text`` is what to go by, ``question`` what was asked. ``is_results``: tools said it."""

    question: str
    text: str
    is_results: bool = False


def source_of(question: str, prompt: str, outputs: tuple[str, ...]) -> Source | None:
    """Return what the answer was to go by; None where it was to come from the model itself."""
    told = "\n".join(output for output in outputs if output.strip())
    if told:
        return Source(question=question, text=told, is_results=True)
    if len(words(prompt)) < FEWEST_WORDS or not GIVES_SOURCE.is_in(prompt):
        return None
    if not GIVES_SOURCE.is_in(question):
        # The source stands in a message before the question.
        rest = prompt.replace(question, " ", 1)
        return Source(question=question, text=rest) if words(rest) else None
    return _split(question)


def _split(question: str) -> Source | None:
    paragraphs = [text for text in _PARAGRAPHS.split(question) if text.strip()]
    if len(paragraphs) < 2:
        paragraphs = [line for line in question.splitlines() if line.strip()]
    if len(paragraphs) < 2:
        return None
    # The question stands before or after the text, and is the shorter of the two ends.
    is_last = len(paragraphs[-1]) <= len(paragraphs[0]) or not paragraphs[0].rstrip().endswith("?")
    asked = paragraphs.pop(-1 if is_last else 0)
    text = "\n".join(paragraphs)
    match = _MARKED.search(text)
    return Source(question=asked, text=text[match.end() :] if match else text)
