"""What a request is about: its domain, and the fine-grained intent where it is one that is known.

Owns how the labelled sentences and the intent head are joined: the head is asked first, since it
was trained on thousands of sentences, but it speaks only of what it is sure to know.
"""

from collections.abc import Mapping
from typing import Final

from pointsman.classifier.domain.reading import Reading

GENERAL: Final = "general"

# Below this cosine to its nearest sentences a request belongs to no domain.
_DOMAIN_FROM: Final = 0.25
# The head names a topic where text of its kind is this likely, and a domain where it is surer:
# a topic is new, a domain would otherwise be told by the sentences.
_TOPIC_FROM: Final = 0.5
_HEAD_FROM: Final = 0.9

# The head's domains in the words of prototypes.yaml. The rest (small talk, kitchen, home, cars,
# work, utilities) are everyday talk, of which the sentences know better what it is about.
_DOMAINS: Final[Mapping[str, str]] = {
    "banking": "billing",
    "credit_cards": "billing",
    "travel": "travel",
}
# Topics that belong elsewhere here than their domain does.
_DOMAIN_OF_TOPIC: Final[Mapping[str, str]] = {
    "translate": "writing",
    **dict.fromkeys(
        (
            "account_blocked", "change_pin", "edit_personal_details", "freeze_account",
            "passcode_forgotten", "pin_change", "terminate_account", "unable_to_verify_identity",
            "verify_my_identity", "why_verify_identity",
        ),
        "account",
    ),
}  # fmt: skip


def topic(reading: Reading) -> tuple[str, float]:
    """Return the fine-grained intent, empty where none is known, and how sure that is."""
    found = reading.intent
    if found is None:
        return "", 0.0
    if found.in_scope < _TOPIC_FROM:
        return "", round(1 - found.in_scope, 4)
    return found.topic, round(found.in_scope * found.probability, 4)


def domain(reading: Reading) -> tuple[str, float]:
    """Return the domain and how far it is ahead of the next."""
    found = reading.intent
    if found is not None and min(found.in_scope, found.domain_probability) >= _HEAD_FROM:
        name = _DOMAIN_OF_TOPIC.get(found.topic) or _DOMAINS.get(found.domain)
        if name is not None:
            return name, round(found.in_scope * found.domain_probability, 4)
    return _by_prototypes(reading.near.domains)


def _by_prototypes(scores: Mapping[str, float]) -> tuple[str, float]:
    first, second = sorted(scores, key=lambda name: -scores[name])[:2]
    if scores[first] < _DOMAIN_FROM:
        return GENERAL, 0.0
    # A lead of 0.2 in cosine has left no doubt in practice; less is less sure.
    return first, round(min(1.0, (scores[first] - scores[second]) / 0.2), 4)
