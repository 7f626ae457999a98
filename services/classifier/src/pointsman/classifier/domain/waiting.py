"""Who waits for the answer: a person, an agent between two tool calls, a batch, or nobody.

Owns the order of the signs. What the caller says comes first; then its service tier; then what the
request looks like, which is a guess and says so in its confidence.
"""

from typing import Final, Literal, get_args

from pointsman.contracts.chat import ChatRequest

Criticality = Literal["interactive", "tool", "batch", "background"]

_CLASSES: Final[tuple[Criticality, ...]] = get_args(Criticality)
_TIERS: Final[dict[str, Criticality]] = {"flex": "batch", "priority": "interactive"}
"""OpenAI's ``service_tier``: flex is cheap and may wait, priority may not."""


def criticality(request: ChatRequest) -> tuple[Criticality, float]:
    """Return the class and how sure it is (0..1).

    ``metadata.criticality`` that names no class is ignored.
    """
    said = (request.metadata or {}).get("criticality", "").strip().lower()
    for known in _CLASSES:
        if said == known:
            return known, 1.0
    if (tier := _TIERS.get((request.service_tier or "").lower())) is not None:
        return tier, 0.9
    if request.messages[-1].role == "tool":
        return "tool", 0.9
    return "interactive", 0.9 if request.stream else 0.5
