"""The probability that an answer is acceptable, from its signs and from siblings that were asked.

Owns the order of the inputs and what the trees' sums mean. Trained by ``libs/evaluation``; the
weights' model card lies beside them.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from pointsman.judge.domain import agreement as agreements
from pointsman.judge.domain import answer_signs as answers
from pointsman.judge.domain.agreement import Agreement
from pointsman.judge.domain.answer_signs import AnswerSigns
from pointsman.scorers import questions
from pointsman.scorers.trees import Inputs, Trees

Floats = NDArray[np.float64]

SIBLINGS = 2
"""As many other answers are looked at."""

_NOT_ASKED = (math.nan,) * (len(agreements.NAMES) + len(answers.NAMES))
_NOT_COMPARED = (math.nan,) * len(agreements.NAMES)

INPUTS = (
    *(f"question.{name}" for name in questions.NAMES),
    *(f"answer.{name}" for name in answers.NAMES),
    *(
        f"sibling{number}.{name}"
        for number in range(1, SIBLINGS + 1)
        for name in (*agreements.NAMES, *answers.NAMES)
    ),
    *(f"siblings.{name}" for name in agreements.NAMES),
)
"""What the trees look at, in order."""


class Gain(Protocol):
    """What was expected before any call: that a small and a strong model answer acceptably."""

    @property
    def weak(self) -> float: ...

    @property
    def strong(self) -> float: ...


@dataclass(frozen=True, kw_only=True)
class Sibling:
    """Another model's answer to the same request, and how far the answer in question agrees."""

    signs: AnswerSigns
    agreement: Agreement


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """Probabilities that this answer, the first sibling's and a stronger model's are acceptable.

    ``tokens`` is how many the stronger model's answer would have.
    """

    acceptable: float
    sibling: float
    stronger: float
    tokens: float

    @property
    def gain(self) -> float:
        """What calling the stronger model would add to the probability of a good answer."""
        return self.stronger - self.acceptable


@dataclass(frozen=True, kw_only=True)
class Acceptance:
    """The learned scorer. Shapes: alone (2,) and with_gain (3,): the last step's log-odds."""

    trees: Trees
    alone: Floats
    with_gain: Floats

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> "Acceptance":
        """Raises: KeyError for an array that is missing; ValueError for other inputs than ours."""
        if int(arrays["inputs"]) != len(INPUTS):
            raise ValueError(f"weights of {int(arrays['inputs'])} inputs, not {len(INPUTS)}")
        return cls(
            trees=Trees.from_arrays(arrays),
            alone=arrays["alone"].astype(np.float64),
            with_gain=arrays["with_gain"].astype(np.float64),
        )

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return what ``from_arrays`` takes."""
        return {
            **self.trees.arrays(),
            "inputs": np.array(len(INPUTS), np.int16),
            "alone": self.alone.astype(np.float32),
            "with_gain": self.with_gain.astype(np.float32),
        }

    def probability(
        self, signs: AnswerSigns, *, gain: Gain | None = None, agreement: Sibling | None = None
    ) -> float:
        """Return the calibrated probability that the answer is acceptable."""
        # Two open answers in other words neither agree nor disagree: nothing was learned of them.
        says_nothing = agreement is None or (
            agreement.agreement.lacks_final and not signs.question.options
        )
        siblings = () if agreement is None or says_nothing else (agreement,)
        return self.estimate(inputs_of(signs, *siblings), gain=gain).acceptable

    def estimate(self, inputs: Inputs, *, gain: Gain | None = None) -> Estimate:
        """Return every output. Shapes: inputs (len(INPUTS),), as ``inputs_of`` gives them."""
        acceptable, sibling, stronger, tokens = self.trees.sums(inputs).tolist()
        if gain is None:
            log_odds = self.alone[0] + self.alone[1] * acceptable
        else:
            expected = math.log(_inside(gain.weak) / (1 - _inside(gain.weak)))
            log_odds = self.with_gain @ (1.0, acceptable, expected)
        return Estimate(
            acceptable=_logistic(float(log_odds)),
            sibling=_logistic(sibling),
            stronger=_logistic(stronger),
            tokens=math.expm1(min(12.0, max(0.0, tokens))),
        )


def inputs_of(signs: AnswerSigns, *siblings: Sibling, between: Agreement | None = None) -> Inputs:
    """Return the inputs of an answer. ``between`` compares two siblings with one another.

    Shapes: (len(INPUTS),); NaN where nobody was asked. Raises: ValueError past ``SIBLINGS``.
    """
    if len(siblings) > SIBLINGS:
        raise ValueError(f"{len(siblings)} siblings; at most {SIBLINGS} are looked at")
    asked = [(*sibling.agreement.values, *sibling.signs.values) for sibling in siblings]
    asked += [_NOT_ASKED] * (SIBLINGS - len(siblings))
    return np.array(
        (
            *signs.question.values,
            *signs.values,
            *(value for values in asked for value in values),
            *(between.values if between is not None else _NOT_COMPARED),
        ),
        np.float32,
    )


def _inside(probability: float) -> float:
    return min(0.999, max(0.001, probability))


def _logistic(log_odds: float) -> float:
    return 1 / (1 + math.exp(-max(-30.0, min(30.0, log_odds))))
