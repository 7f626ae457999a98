"""Which names a condition may use, and which values each can have.

The signals' table is read from ``contracts.parts.Signals``, so a new signal there is a new name
here. Beside them a condition sees the request's ``namespace`` and its metadata, as
``metadata.KEY``; a key that the request does not have is the empty text.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal, get_args, get_origin

from annotated_types import Ge, Le
from pydantic.fields import FieldInfo

from pointsman.contracts.parts import Signals

Value = str | float

NAMESPACE = "namespace"
METADATA = "metadata."
MAX_KEY = 64
# Metadata is kept cut to 64 characters for the record, and compared as it is kept: a longer text
# in a condition could never be told from its beginning.
KEPT_CHARACTERS = 64

# How sure the classifier is of a signal is for the record; it is not a signal.
_NOT_SIGNALS = frozenset({"confidence"})


@dataclass(frozen=True, kw_only=True)
class SignalType:
    """The values of one name: a closed set of words, any text, or a number in a range.

    ``longest`` bounds a text. ``is_listed`` says that a route lists the name before using it.
    """

    name: str
    kind: Literal["closed", "text", "number"]
    values: tuple[str, ...] = ()
    low: float = 0.0
    high: float = 1.0
    longest: int | None = None
    is_listed: bool = True

    def misfit(self, value: Value) -> str | None:
        """Return why this name can never have ``value``, or None if it can."""
        if self.kind == "number":
            if isinstance(value, str):
                return f"{self.name} is a number, {value!r} is text"
            if not self.low <= value <= self.high:
                return f"{self.name} is between {self.low:g} and {self.high:g}, never {value:g}"
            return None
        if not isinstance(value, str):
            return f"{self.name} is text, {value:g} is a number"
        if self.kind == "closed" and value not in self.values:
            return f"{self.name} is never {value!r} (one of: {', '.join(self.values)})"
        if self.longest is not None and len(value) > self.longest:
            return f"{self.name} is compared with at most {self.longest} characters"
        return None


def _signal_type(name: str, field: FieldInfo) -> SignalType:
    if get_origin(field.annotation) is Literal:
        return SignalType(name=name, kind="closed", values=get_args(field.annotation))
    if field.annotation is float or field.annotation is int:
        lows = [float(str(mark.ge)) for mark in field.metadata if isinstance(mark, Ge)]
        highs = [float(str(mark.le)) for mark in field.metadata if isinstance(mark, Le)]
        return SignalType(name=name, kind="number", low=lows[0], high=highs[0])
    if field.annotation is str:
        return SignalType(name=name, kind="text")
    raise TypeError(f"signal {name!r} has a type that conditions do not know")


SIGNALS: Mapping[str, SignalType] = MappingProxyType(
    {
        name: _signal_type(name, field)
        for name, field in Signals.model_fields.items()
        if name not in _NOT_SIGNALS
    }
)


_NAMESPACE = SignalType(name=NAMESPACE, kind="text", longest=KEPT_CHARACTERS - 1, is_listed=False)


def name_type(name: str) -> SignalType | None:
    """Return what a condition may compare ``name`` with, or None where there is no such name."""
    if name == NAMESPACE:
        return _NAMESPACE
    key = name.removeprefix(METADATA)
    if key != name:
        if not 0 < len(key) <= MAX_KEY:
            return None
        return SignalType(name=name, kind="text", longest=KEPT_CHARACTERS - 1, is_listed=False)
    return SIGNALS.get(name)


def values_of(signals: Signals) -> dict[str, Value]:
    """Return the signals as the plain values that conditions are evaluated on."""
    return {name: getattr(signals, name) for name in SIGNALS}
