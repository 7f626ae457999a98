"""The verdict: a request's signals from its words, its vector and the prototypes.

Owns the weights and where they come from.
"""

import math
from collections.abc import Mapping

from pointsman.classifier.domain import features
from pointsman.classifier.domain.ports import Array
from pointsman.classifier.domain.prototypes import Prototypes
from pointsman.contracts.parts import Signals

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
    near = known.nearness(vector)
    found = features.features(text)
    complexity = _logistic(
        _COMPLEX_BIAS
        + _COMPLEX_NEARNESS * (near.complex - near.simple)
        + sum(weight * getattr(found, name) for name, weight in _COMPLEX_WEIGHTS.items())
    )
    tools_lead = near.with_tools - near.without_tools
    tool_need = _logistic(_TOOLS_BIAS + _TOOLS_NEARNESS * tools_lead)
    domain, margin = _domain(near.domains)
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


def _domain(scores: Mapping[str, float]) -> tuple[str, float]:
    first, second = sorted(scores, key=lambda name: -scores[name])[:2]
    if scores[first] < _DOMAIN_FROM:
        return "general", 0.0
    # A lead of 0.2 in cosine has left no doubt in practice; less is less sure.
    return first, round(min(1.0, (scores[first] - scores[second]) / 0.2), 4)


def _logistic(log_odds: float) -> float:
    return round(1 / (1 + math.exp(-max(-30.0, min(30.0, log_odds)))), 4)
