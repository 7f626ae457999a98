"""Tells a runaway answer while it streams: the same words in the same order, and nothing new.

Owns the decision alone. It reads words, not meaning. What was asked to repeat itself in plain
prose looks the same; what looks like data, code or verse is given more room before it is stopped.
What becomes of a stopped answer is the attempt's.
"""

import re
from typing import Final

RUN_CHARS: Final = 700
"""Prose that says nothing new, in one run, after which an answer is stopped.

Chosen on the development recordings, where it changes no stated letter (``task eval:judge``).
"""
PATIENT_RUN_CHARS: Final = 6_000
"""The same for what may well repeat as much and be right: rows of a table, a list of labels, code,
a refrain, a run that names several things by one capital letter and may still weigh them."""
JSON_RUN_CHARS: Final = 24_000
"""The same where the client asked for JSON: half a document is worth nothing to it."""
BLANK_CHARS: Final = 2_000
"""White space in one run after which any answer is stopped."""
SAID_BEFORE: Final = 3
"""A sequence is nothing new once it was said as often as this."""
WORDS: Final = 10
"""Words, numbers and marks in a sequence, and how many must go on as they did an earlier time
before any counts as nothing new. Shorter ones recur in any text with formulas."""
NEWS_WEIGHT: Final = 20
"""Characters of repetition that one character of news undoes: a list with a number that counts
up has news in every line, a loop has none."""

_BATCH_CHARS: Final = 128
_LONGEST_WAIT: Final = 64
_MOST_WORDS: Final = 200_000
# What sets sentences and equations apart from data, code and verse, counted in the last RUN_CHARS
# characters: chosen on lists, tables, songs and the like that were written for it (``test_loops``)
# so that of what the recordings save little is lost.
_FEW_WORDS: Final = 3
_MANY_LINES: Final = 10
_MANY_MARKS: Final = 35
_SPOKEN_SHARE: Final = 0.15
_MANY_SIGNS: Final = 5
# Long runs without a space, of one letter or in a script without spaces, are cut into pieces.
_WORD = re.compile(r"[^\W\d_]{1,16}|\d{1,16}|[^\w\s]|_")
_LETTERS = re.compile(r"[^\W\d_]{2,16}")
# Two words with nothing but a space between them, or five signs of a script without spaces.
_SPOKEN = re.compile(r"(?<=[^\W\d_]) (?=[^\W\d_])|[\u3040-\u30ff\u4e00-\u9fff]{5}")
_SENTENCE_END = re.compile(r"[.!?:]\s|[。！？]")
_DATA_MARK = re.compile(r"[|<>\[\]\";&]")
_FORMULA = re.compile(r"\\[a-zA-Z]{3}")  # a command of LaTeX
_SIGN = re.compile(r"[-+*/^\\×·]")
_FENCE: Final = "```"
_OPENS_DATA: Final = frozenset("{[<|")


class LoopGuard:
    """Watches one answer. ``feed`` it every piece of text, in order.

    An answer goes in circles where every word follows as it followed an earlier time, in sequences
    said ``SAID_BEFORE`` times: in a list of labels each sequence recurs, but not what follows it.

    Costs about 0.3 us a character, 1.3 where every sign is a word, and nothing for the first
    ``RUN_CHARS``; keeps the words and two numbers for each sequence it has seen.
    """

    def __init__(self, *, is_json: bool = False) -> None:
        self._is_json = is_json
        self._waiting: list[str] = []
        self._waiting_chars = -RUN_CHARS  # no shorter answer can run away, and most are shorter
        self._text = ""
        self._starts: list[int] = []
        self._end = 0
        self._scanned = 0
        self._tail = ""
        self._opening = ""
        self._fences = 0
        self._blank_chars = 0
        self._words: list[str] = []
        self._times_said: dict[int, int] = {}
        self._went_on_at: dict[int, int] = {}
        self._expected = -1
        self._as_before = 0
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
        more = "".join(self._waiting)
        self._waiting.clear()
        self._waiting_chars = 0
        self._look(more)
        self._read(more)
        self._is_loop = self._blank_chars >= BLANK_CHARS or self._is_too_long()
        self._is_runaway = self._is_loop and _ends_whole(text)
        return self._is_runaway

    def _look(self, more: str) -> None:
        """Keep what tells the shape of the answer: how it opens, its fences, its last part."""
        before = self._tail[-len(_FENCE) + 1 :]
        self._fences += (before + more).count(_FENCE)
        self._tail = (self._tail + more)[-RUN_CHARS:]
        self._opening = self._opening or more.lstrip()[:1]
        written = more.rstrip()
        blank_before = 0 if written else self._blank_chars
        self._blank_chars = blank_before + len(more) - len(written)

    def _read(self, more: str) -> None:
        starts = self._starts
        text = self._text + more
        end, scanned = self._end, len(text)
        for match in _WORD.finditer(text, self._scanned):
            start, stop = match.span()
            if stop == len(text):
                scanned = start  # the next piece may continue this word
                break
            self._follow(text[start:stop])
            starts.append(start)
            if len(starts) > WORDS:
                del starts[0]
                # Spaces count: a key is a slice, which is cheaper than a tuple of words.
                is_news = self._is_news(hash(text[starts[0] : stop]))
                self._weigh(text, start, stop, stop - end, is_news=is_news)
            end = stop
        self._forget(text, end, scanned)

    def _follow(self, word: str) -> None:
        """Take in a word, and see whether it is what came at this place the time before."""
        if self._expected >= 0 and self._words[self._expected] == word:
            self._expected += 1
            self._as_before += 1
        else:
            self._expected = -1
            self._as_before = 0
        self._words.append(word)

    def _is_news(self, sequence: int) -> bool:
        times = self._times_said.get(sequence, 0)
        self._times_said[sequence] = times + 1
        if self._expected < 0:
            self._expected = self._went_on_at.get(sequence, -1)
        self._went_on_at[sequence] = len(self._words)
        return times < SAID_BEFORE or self._as_before < WORDS

    def _weigh(self, text: str, start: int, stop: int, length: int, *, is_news: bool) -> None:
        if is_news:
            # One space at most: white space is no news.
            news = min(length, stop - start + 1)
            self._run = max(0, self._run - NEWS_WEIGHT * news)
            if not self._run:
                self._capitals.clear()
            return
        self._run += length
        if stop - start == 1 and text[start].isupper():
            before = text[start - 1] if start else " "
            if _ends_whole(before) and _ends_whole(text[stop]):
                self._capitals.add(text[start])

    def _is_too_long(self) -> bool:
        if self._run < RUN_CHARS:
            return False
        if self._is_json:
            return self._run >= JSON_RUN_CHARS
        return self._run >= PATIENT_RUN_CHARS or not self._may_be_meant()

    def _may_be_meant(self) -> bool:
        is_code = self._fences % 2 == 1 or self._opening in _OPENS_DATA
        return len(self._capitals) > 1 or is_code or _may_repeat(self._tail)

    def _forget(self, text: str, end: int, scanned: int) -> None:
        """Keep the text of the last sequence and what is not read yet."""
        first = self._starts[0] if self._starts else end
        self._text = text[first:]
        self._starts = [start - first for start in self._starts]
        self._end = end - first
        self._scanned = scanned - first
        if len(self._words) > _MOST_WORDS:
            self._words.clear()
            self._times_said.clear()
            self._went_on_at.clear()
            self._expected = -1
            self._as_before = 0


def _may_repeat(text: str) -> bool:
    """Whether ``text`` looks like data, markup or verse rather than sentences or equations."""
    if len(_DATA_MARK.findall(text)) >= _MANY_MARKS:
        return True
    has_equations = text.count("=") >= _MANY_SIGNS
    if has_equations and len(_FORMULA.findall(text)) >= _MANY_SIGNS:
        return False
    if text.count("\n") >= _MANY_LINES:
        return True
    if has_equations and len(_SIGN.findall(text)) >= _MANY_SIGNS:
        return False
    if _SENTENCE_END.search(text) is None:
        return True
    # The first and the last word may be cut.
    if len(set(_LETTERS.findall(text)[1:-1])) < _FEW_WORDS:
        return True
    return len(_SPOKEN.findall(text)) < _SPOKEN_SHARE * len(_WORD.findall(text))


def _ends_whole(text: str) -> bool:
    """Whether no letter, digit or underscore is last, so that nothing can continue a word."""
    last = text[-1:]
    return not (last.isalnum() or last == "_")
