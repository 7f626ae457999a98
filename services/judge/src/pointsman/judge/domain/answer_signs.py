"""What an answer shows of itself: shape, doubts, sums, and how its option fits its words.

Owns the signs a learned scorer reads beside the question's. They are no verdict: each is a number.
"""

import math
import re
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from operator import attrgetter

from pointsman.judge.domain.agreement import READ_CHARACTERS, content_words, final_answer
from pointsman.judge.domain.text import clipped
from pointsman.scorers.questions import QuestionSigns, options_of, question_signs

_NUMBER = re.compile(r"-?\d+(?:,\d{3})*(?:\.\d+)?(?:[eE][-+]?\d+)?")
_STATEMENT = re.compile(r"\banswer is\b")
_LETTER = re.compile(r"\(([A-J])\)")
_SUM = re.compile(
    r"(-?\d{1,12}(?:\.\d{1,9})?)\s*([+\-*/×÷])\s*(-?\d{1,12}(?:\.\d{1,9})?)\s*=\s*\$?"
    r"(-?\d{1,12}(?:,\d{3})*(?:\.\d{1,9})?)"
)
_DOUBT = re.compile(
    r"closest|not among|none of|not (?:listed|given|provided|possible|enough)|cannot|can't|unable"
    r"|approximat|assum|likely|probably|may be|might|not sure|unclear|seems|appears"
)
_TURN = re.compile(
    r"\b(?:however|wait|mistake|error|re-?check|incorrect|actually|but this|contradict"
    r"|re-?evaluat|try again|let's re)"
)
_CLOSE = 0.011
"""A relative difference that rounding to two places explains."""
_MOST_SUMS = 40


@dataclass(frozen=True, kw_only=True)
class AnswerSigns:
    """Counts are capped or logarithms, shares and differences 0 to 1, truths 0 or 1.

    ``chosen`` is the option whose letter is the final answer; its signs are 0 without options.
    """

    question: QuestionSigns
    has_letter: float
    characters: float
    thousands: float
    is_terse: float
    variety: float
    states_again: float
    letters: float
    doubts: float
    turns: float
    chosen_is_number: float
    number_difference: float
    number_reached: float
    number_nearest: float
    chosen_support: float
    other_support: float
    chosen_is_best_supported: float
    chosen_is_quoted: float
    has_sums: float
    wrong_sums: float
    wrong_sum_share: float
    numbers: float
    equations: float
    is_runaway: float
    ends_whole: float
    is_first: float
    is_last: float
    place: float
    sentences: float
    lines: float
    has_formula: float

    @property
    def values(self) -> tuple[float, ...]:
        """The answer's own signs in the order of ``NAMES``; the question's are its own."""
        return _all(self)


NAMES = tuple(field.name for field in fields(AnswerSigns) if field.name != "question")
_all = attrgetter(*NAMES)


def answer_signs(question: str, answer: str) -> AnswerSigns:
    """Return what ``answer`` shows. Reads ``READ_CHARACTERS`` of it."""
    options = options_of(question)
    text = clipped(answer, READ_CHARACTERS)
    small = text.lower()
    final = final_answer(answer)
    letter = final.value if final and final.kind == "letter" else None
    body = _STATEMENT.split(text, maxsplit=1)[0]
    numbers = _numbers(body)
    raw = text.encode()
    return AnswerSigns(
        question=question_signs(question),
        has_letter=float(letter is not None),
        characters=math.log1p(len(answer)),
        thousands=min(8_000, len(answer)) / 1_000,
        is_terse=float(len(answer) < 60),
        # A loop compresses to almost nothing.
        variety=len(zlib.compress(raw, 1)) / max(1, len(raw)),
        states_again=float(len(_STATEMENT.findall(text)) > 1),
        letters=float(len(set(_LETTER.findall(text)))),
        doubts=float(min(8, len(_DOUBT.findall(small)))),
        turns=float(min(8, len(_TURN.findall(small)))),
        **_number_signs(letter, options, numbers),
        **_support_signs(letter, options, body),
        **_sum_signs(text),
        numbers=float(min(40, len(numbers))),
        equations=float(min(20, text.count("="))),
        is_runaway=float(len(answer) > 4_500),
        ends_whole=float(answer.rstrip().endswith((".", ")", "!", "?", "```", "*"))),
        is_first=float(letter == "A"),
        is_last=float(bool(options) and letter == max(options)),
        place=(ord(letter) - ord("A")) / 10 if letter else 0.5,
        sentences=math.log1p(body.count(". ") + 1),
        lines=text.count("\n") ** 0.5,
        has_formula=float("\\" in text or "$" in text),
    )


def _numbers(text: str) -> list[float]:
    found = [float(number.replace(",", "")) for number in _NUMBER.findall(text)]
    return [number for number in found if math.isfinite(number)]


def _number_signs(
    letter: str | None, options: Mapping[str, str], numbers: Sequence[float]
) -> dict[str, float]:
    """How the chosen option's number fits the last numbers that the answer worked out."""
    firsts = {key: found[0] for key, words in options.items() if (found := _numbers(words))}
    if letter not in firsts or not numbers:
        return dict.fromkeys(
            ("chosen_is_number", "number_difference", "number_reached", "number_nearest"), 0.0
        )
    chosen, last = firsts[letter], numbers[-1]
    difference = min(_difference(chosen, number) for number in numbers[-6:])
    nearest = min(abs(number - last) for number in firsts.values())
    return {
        "chosen_is_number": 1.0,
        "number_difference": difference,
        "number_reached": float(difference < _CLOSE),
        "number_nearest": float(abs(chosen - last) == nearest),
    }


def _difference(one: float, other: float) -> float:
    size = max(abs(one), abs(other))
    # Halves first: the difference of two huge numbers is not finite.
    return min(2.0, 2 * abs(one / 2 - other / 2) / size) if size else 0.0


def _support_signs(letter: str | None, options: Mapping[str, str], body: str) -> dict[str, float]:
    """How much of the chosen option, and of the best other one, the answer's words take up."""
    if letter is None or letter not in options:
        names = (
            "chosen_support", "other_support", "chosen_is_best_supported", "chosen_is_quoted",
        )  # fmt: skip
        return dict.fromkeys(names, 0.0)
    said = content_words(body)
    support = {key: _support(words, said) for key, words in options.items()}
    others = max((share for key, share in support.items() if key != letter), default=0.0)
    quoted = options[letter].lower().rstrip(".")
    return {
        "chosen_support": support[letter],
        "other_support": others,
        "chosen_is_best_supported": float(support[letter] >= others),
        "chosen_is_quoted": float(bool(quoted) and quoted in body.lower()),
    }


def _support(words: str, said: set[str]) -> float:
    wanted = content_words(words)
    return len(wanted & said) / max(1, len(wanted))


def _sum_signs(text: str) -> dict[str, float]:
    """Which of the sums written out come to what is said."""
    checked = [_is_right(*found) for found in _SUM.findall(text)[:_MOST_SUMS]]
    wrong = checked.count(False)
    return {
        "has_sums": float(bool(checked)),
        "wrong_sums": float(min(5, wrong)),
        "wrong_sum_share": wrong / max(1, len(checked)),
    }


def _is_right(first: str, sign: str, second: str, said: str) -> bool:
    one, two, claimed = float(first), float(second), float(said.replace(",", ""))
    match sign:
        case "+":
            result = one + two
        case "-":
            result = one - two
        case "*" | "×":
            result = one * two
        case _:
            result = one / two if two else math.inf
    return abs(result - claimed) <= _CLOSE * max(1e-6, abs(claimed))
