"""Tells a runaway answer while it streams: the same words again and again, and nothing new.

Owns the decision alone. It reads words, not meaning: an answer that was asked to repeat itself
looks the same. What becomes of a stopped answer is the attempt's.
"""

import re
from typing import Final

RUN_CHARS: Final = 700
"""Text that says nothing new, in one run, after which an answer is stopped.

Chosen on the development recordings, where it changes no stated letter (``task eval:judge``).
Less would do there, but a table, a refrain or boilerplate in code may repeat as much.
"""
OPTIONS_RUN_CHARS: Final = 6_000
"""The same for a run that names several things by one capital letter: it may still weigh them."""
SAID_BEFORE: Final = 3
"""A sequence is nothing new once it was said as often as this."""
WORDS: Final = 10
"""Words, numbers and marks in a sequence. Shorter ones recur in any text with formulas."""
NEWS_WEIGHT: Final = 20
"""Characters of repetition that one character of news undoes: a list with a number that counts
up has news in every line, a loop has none."""

_BATCH_CHARS: Final = 128
_LONGEST_WAIT: Final = 64
_MOST_SEQUENCES: Final = 200_000
# Long runs without a space, of one letter or in a script without spaces, are cut into pieces.
_WORD = re.compile(r"[^\W\d_]{1,16}|\d{1,16}|[^\w\s]|_")


class LoopGuard:
    """Watches one answer. ``feed`` it every piece of text, in order.

    Costs about 0.2 us a character, and nothing for the first ``RUN_CHARS``; keeps a number for
    each sequence it has seen.
    """

    def __init__(self) -> None:
        self._waiting: list[str] = []
        self._waiting_chars = -RUN_CHARS  # no shorter answer can run away, and most are shorter
        self._text = ""
        self._starts: list[int] = []
        self._end = 0
        self._times_said: dict[int, int] = {}
        self._run = 0
        self._capitals: set[str] = set()
        self._is_loop = False
        self._is_runaway = False

    def feed(self, text: str) -> bool:
        """Take the next piece and return whether the answer is running away; once so, always so.

        Says so where a word ends: a cut one would be another word.
        """
        if self._is_loop:
            self._waiting_chars += len(text)
            self._is_runaway |= _ends_whole(text) or self._waiting_chars >= _LONGEST_WAIT
            return self._is_runaway
        self._waiting.append(text)
        self._waiting_chars += len(text)
        if self._waiting_chars < _BATCH_CHARS:
            return False
        self._is_loop = self._read("".join(self._waiting))
        self._waiting.clear()
        self._waiting_chars = 0
        self._is_runaway = self._is_loop and _ends_whole(text)
        return self._is_runaway

    def _read(self, more: str) -> bool:
        starts = self._starts
        text = self._text + more
        said, end = self._times_said, self._end
        for match in _WORD.finditer(text, end):
            start, stop = match.span()
            if stop == len(text):
                break  # the next piece may continue this word
            starts.append(start)
            if len(starts) > WORDS:
                del starts[0]
                # Spaces count: a key is a slice, which is cheaper than a tuple of words.
                sequence = hash(text[starts[0] : stop])
                times = said.get(sequence, 0)
                said[sequence] = times + 1
                self._weigh(text, start, stop, stop - end, is_news=times < SAID_BEFORE)
                if self._run >= RUN_CHARS and self._is_too_long():
                    return True
            end = stop
        self._forget(text, end)
        return False

    def _weigh(self, text: str, start: int, stop: int, length: int, *, is_news: bool) -> None:
        if is_news:
            self._run = max(0, self._run - NEWS_WEIGHT * length)
            if not self._run:
                self._capitals.clear()
            return
        self._run += length
        if stop - start == 1 and text[start].isupper():
            before = text[start - 1] if start else " "
            if _ends_whole(before) and _ends_whole(text[stop]):
                self._capitals.add(text[start])

    def _is_too_long(self) -> bool:
        return len(self._capitals) < 2 or self._run >= OPTIONS_RUN_CHARS

    def _forget(self, text: str, end: int) -> None:
        """Keep the text of the last sequence and what is not read yet."""
        first = self._starts[0] if self._starts else end
        self._text = text[first:]
        self._starts = [start - first for start in self._starts]
        self._end = end - first
        if len(self._times_said) > _MOST_SEQUENCES:
            self._times_said.clear()


def _ends_whole(text: str) -> bool:
    """Whether no letter, digit or underscore is last, so that nothing can continue a word."""
    last = text[-1:]
    return not (last.isalnum() or last == "_")
