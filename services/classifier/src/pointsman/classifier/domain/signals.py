"""The signals of a request: a row each, of a name and the function that reads it.

A new signal is a function of a ``Reading``, a row in ``SIGNALS`` and a field of
``contracts.parts.Signals``; conditions can name it at once.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from pointsman.classifier.domain import features
from pointsman.classifier.domain.complexity import tool_need_of
from pointsman.classifier.domain.extent import context_tokens, modality
from pointsman.classifier.domain.languages import UNKNOWN, language
from pointsman.classifier.domain.ports import Array
from pointsman.classifier.domain.reading import Known, Reading, read
from pointsman.classifier.domain.subjects import GENERAL, domain, topic
from pointsman.classifier.domain.waiting import criticality
from pointsman.contracts.chat import ChatRequest
from pointsman.contracts.parts import Signals

Value = str | float
Told = tuple[Value, float]
"""A signal's value and how sure it is, 0 to 1."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """How one signal is read. ``without_words`` is its value where the user said nothing."""

    read: Callable[[Reading], Told]
    without_words: Value | None = None


def _sure_of(probability: float) -> float:
    return round(abs(2 * probability - 1), 4)


def _intent(reading: Reading) -> Told:
    return (
        "complex" if reading.complexity >= 0.5 else "simple",
        _sure_of(reading.complexity),
    )


def _complexity(reading: Reading) -> Told:
    return reading.complexity, _sure_of(reading.complexity)


def _tool_need(reading: Reading) -> Told:
    need = tool_need_of(reading.near)
    return need, _sure_of(need)


def _safety(reading: Reading) -> Told:
    return "suspicious" if reading.is_suspicious else "safe", 1.0


def _gain(reading: Reading) -> Told:
    if reading.estimate is None:
        return 0.0, 0.0
    return _probability(reading.estimate.gain), _familiarity(reading)


def _ease(reading: Reading) -> Told:
    if reading.estimate is None:
        return 0.5, 0.0
    return _probability(reading.estimate.weak), _familiarity(reading)


def _probability(value: float) -> float:
    return round(max(0.0, min(1.0, value)), 4)


def _familiarity(reading: Reading) -> float:
    # What was learned from known requests says little of one that is like none of them.
    return round(1 - reading.novelty[0], 4)


SIGNALS: Final[Mapping[str, Row]] = MappingProxyType(
    {
        "intent": Row(read=_intent, without_words="simple"),
        "domain": Row(read=domain, without_words=GENERAL),
        "topic": Row(read=topic, without_words=""),
        "complexity": Row(read=_complexity, without_words=0.0),
        "urgency": Row(read=lambda reading: features.urgency(reading.text), without_words="normal"),
        "criticality": Row(read=lambda reading: criticality(reading.request)),
        "safety": Row(read=_safety),
        "tool_need": Row(read=_tool_need, without_words=0.0),
        "language": Row(read=lambda reading: language(reading.text), without_words=UNKNOWN),
        # Counted, but by a rule of thumb: see ``extent``.
        "context_tokens": Row(read=lambda reading: (context_tokens(reading.request), 0.7)),
        "modality": Row(read=lambda reading: (modality(reading.request), 1.0)),
        "novelty": Row(read=lambda reading: reading.novelty, without_words=0.0),
        "gain": Row(read=_gain, without_words=0.0),
        "ease": Row(read=_ease, without_words=0.5),
    }
)


def signals_of(reading: Reading) -> Signals:
    """Return every signal of one request. Same reading, same signals."""
    values: dict[str, Value] = {}
    confidence: dict[str, float] = {}
    for name, row in SIGNALS.items():
        if reading.text or row.without_words is None:
            values[name], confidence[name] = row.read(reading)
        else:
            values[name], confidence[name] = row.without_words, 0.0
    return Signals.model_validate({**values, "confidence": confidence})


def read_signals(
    request: ChatRequest, text: str, vector: Array, known: Known, *, is_suspicious: bool = False
) -> Signals:
    """Return the signals of one request, of which ``text`` are the words that count.

    Shapes: vector (384,), L2-normalised.
    """
    return signals_of(read(request, text, vector, known, is_suspicious=is_suspicious))
