"""The verdict: a request's signals from its words, its vector and the prototypes.

Owns the weights and where they come from.
"""

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from pointsman.classifier.domain import features
from pointsman.classifier.domain.ports import Array
from pointsman.classifier.domain.prototypes import Prototypes
from pointsman.contracts.parts import Signals

_NEIGHBOURS = 3

# Log-odds of "complex": logistic regression (L2) on the prototypes, each left out of its own
# neighbourhood, and on the development half of tests/measure_signals.py; rounded. That file
# measures the other half.
_COMPLEX_BIAS = -4.0
_COMPLEX_NEARNESS = 20.0
_COMPLEX_WEIGHTS: Mapping[str, float] = {
    "length": 1.3,
    "reasoning": 2.0,
    "problem": 1.5,
    "constraints": 0.4,
    "scope": 1.0,
    "options": 0.8,
    "math": 1.3,
    "code": 0.3,
    "numbers": 0.7,
}

# Log-odds of "needs tools": even where both kinds of sentence are equally near. The slope is set by
# hand: a lead of 0.2 in cosine has left no doubt.
_TOOLS_BIAS = 0.0
_TOOLS_NEARNESS = 14.0

# Below this cosine to its nearest sentences a request belongs to no domain.
_DOMAIN_FROM = 0.25


def read_signals(
    text: str, vector: Array, known: Prototypes, *, is_suspicious: bool = False
) -> Signals:
    """Return the signals of one request.

    Shapes: vector (384,), L2-normalised. Same input, same signals.
    """
    if not text:
        return _no_words(is_suspicious=is_suspicious)
    nearness: Array = known.vectors @ vector
    found = features.features(text)
    complexity = _logistic(
        _COMPLEX_BIAS
        + _COMPLEX_NEARNESS * _contrast(nearness, known.is_complex)
        + sum(weight * getattr(found, name) for name, weight in _COMPLEX_WEIGHTS.items())
    )
    tool_need = _logistic(_TOOLS_BIAS + _TOOLS_NEARNESS * _contrast(nearness, known.needs_tools))
    domain, margin = _domain(nearness, known.domains)
    urgency, sure = features.urgency(text)
    return Signals(
        intent="complex" if complexity >= 0.5 else "simple",
        domain=domain,
        complexity=complexity,
        urgency=urgency,
        safety="suspicious" if is_suspicious else "safe",
        tool_need=tool_need,
        confidence={
            "intent": round(abs(2 * complexity - 1), 4),
            "domain": margin,
            "complexity": round(abs(2 * complexity - 1), 4),
            "urgency": sure,
            "safety": 1.0,
            "tool_need": round(abs(2 * tool_need - 1), 4),
        },
    )


def _no_words(*, is_suspicious: bool) -> Signals:
    return Signals(
        intent="simple",
        domain="general",
        complexity=0.0,
        urgency="normal",
        safety="suspicious" if is_suspicious else "safe",
    )


def _contrast(nearness: Array, label: NDArray[np.bool_]) -> float:
    """How much nearer the sentences with the label are than those without, in cosine."""
    return _nearest(nearness[label]) - _nearest(nearness[~label])


def _nearest(nearness: Array) -> float:
    return float(np.sort(nearness)[-_NEIGHBOURS:].mean())


def _domain(nearness: Array, domains: Mapping[str, NDArray[np.bool_]]) -> tuple[str, float]:
    scores = {name: _nearest(nearness[rows]) for name, rows in domains.items()}
    first, second = sorted(scores, key=lambda name: -scores[name])[:2]
    if scores[first] < _DOMAIN_FROM:
        return "general", 0.0
    # A lead of 0.2 in cosine has left no doubt in practice; less is less sure.
    return first, round(min(1.0, (scores[first] - scores[second]) / 0.2), 4)


def _logistic(log_odds: float) -> float:
    return round(1 / (1 + math.exp(-max(-30.0, min(30.0, log_odds)))), 4)
