"""How complex a request is, from its words and from the sentences it is near to.

Owns the weights and where they come from.
"""

import math
from collections.abc import Mapping

from pointsman.classifier.domain.features import Features
from pointsman.classifier.domain.prototypes import Nearness

# Log-odds of "complex": logistic regression (L2) on the prototypes, each left out of its own
# neighbourhood, and on the development half of tests/measure_signals.py; rounded. That file
# measures the other half.
_BIAS = -4.0
_NEARNESS = 20.0
_WEIGHTS: Mapping[str, float] = {
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


def complexity_of(found: Features, near: Nearness) -> float:
    """Return 0 (a lookup) to 1 (many dependent steps): the probability of ``complex``."""
    return logistic(
        _BIAS
        + _NEARNESS * (near.complex - near.simple)
        + sum(weight * getattr(found, name) for name, weight in _WEIGHTS.items())
    )


def tool_need_of(near: Nearness) -> float:
    """Return the probability that tools are needed."""
    return logistic(_TOOLS_BIAS + _TOOLS_NEARNESS * (near.with_tools - near.without_tools))


def logistic(log_odds: float) -> float:
    """Return a probability, to four places."""
    return round(1 / (1 + math.exp(-max(-30.0, min(30.0, log_odds)))), 4)
