"""How unlike anything known a request is.

Known is: the sentences of prototypes.yaml, and the middles of the kinds of text that the intent
head was trained on (banking and assistant requests, exam questions, questions to a chat model). A
text is novel when it is far from all of them. So an ordinary prompt is not novel for being no topic
of the head, and a topic of the head never is; text of a kind that none of them has is, as are bug
reports, other languages and noise.
"""

import math
from typing import Final

from pointsman.classifier.domain.prototypes import Nearness
from pointsman.scorers.intents import IntentReading

# Twice this in cosine is the way from "hardly" (0.12) to "surely" (0.88).
_SLOPE: Final = 0.025


def novelty(found: IntentReading | None, near: Nearness) -> tuple[float, float]:
    """Return 0 (much like something known) to 1 (like nothing known), and how sure that is.

    Without the intent head nothing is known of it: 0, and not sure at all.
    """
    if found is None:
        return 0.0, 0.0
    lead = (max(found.nearest, near.nearest) - found.far) / _SLOPE
    is_far = 1 / (1 + math.exp(max(-30.0, min(30.0, lead))))
    value = round(is_far * (1 - found.in_scope), 4)
    return value, round(abs(2 * value - 1), 4)
