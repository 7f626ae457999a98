"""One request as its signals see it: what is computed once, whoever asks for it.

Owns no judgement: what a reading means is in ``signals``.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

from pointsman.classifier.domain.complexity import complexity_of
from pointsman.classifier.domain.features import features
from pointsman.classifier.domain.gain import GainEstimate
from pointsman.classifier.domain.novelty import novelty
from pointsman.classifier.domain.ports import Array
from pointsman.classifier.domain.prototypes import Nearness, Prototypes
from pointsman.contracts.chat import ChatRequest
from pointsman.scorers.intents import IntentReading


class IntentScorer(Protocol):
    def read(self, vector: Array, text: str) -> IntentReading: ...


class GainScorer(Protocol):
    def predict(self, vector: Array, text: str) -> GainEstimate: ...


@dataclass(frozen=True, kw_only=True)
class Known:
    """What requests are compared with. A scorer that was not shipped is None."""

    prototypes: Prototypes
    intents: IntentScorer | None = None
    gain: GainScorer | None = None


@dataclass(frozen=True, kw_only=True)
class Reading:
    """A request, its words (``text``, may be empty), and what the scorers make of them.

    ``intent`` and ``estimate`` are None where their scorer was not shipped.
    """

    request: ChatRequest
    text: str
    is_suspicious: bool
    near: Nearness
    complexity: float
    intent: IntentReading | None
    estimate: GainEstimate | None

    @cached_property
    def novelty(self) -> tuple[float, float]:
        """How unlike anything known it is, and how sure that is: asked by several signals."""
        return novelty(self.intent, self.near)


def read(
    request: ChatRequest, text: str, vector: Array, known: Known, *, is_suspicious: bool = False
) -> Reading:
    """Return what the signals of ``request`` are made from.

    ``text`` is ``wording.request_text`` of the request.
    Shapes: vector (384,), L2-normalised.
    """
    near = known.prototypes.nearness(vector)
    return Reading(
        request=request,
        text=text,
        is_suspicious=is_suspicious,
        near=near,
        complexity=complexity_of(features(text), near),
        intent=known.intents.read(vector, text) if known.intents else None,
        estimate=known.gain.predict(vector, text) if known.gain else None,
    )
