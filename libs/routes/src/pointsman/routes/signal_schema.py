"""Which signals a condition may name, and which values each can have.

Owns nothing by hand: the table is read from ``contracts.parts.Signals``, so a new signal there is a
new name here.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal, get_args, get_origin

from annotated_types import Ge, Le
from pydantic.fields import FieldInfo

from pointsman.contracts.parts import Signals

Value = str | float

# How sure the classifier is of a signal is for the record; it is not a signal.
_NOT_SIGNALS = frozenset({"confidence"})


@dataclass(frozen=True, kw_only=True)
class SignalType:
    """The values of one signal: a closed set of words, any text, or a number in a range."""

    name: str
    kind: Literal["closed", "text", "number"]
    values: tuple[str, ...] = ()
    low: float = 0.0
    high: float = 1.0

    def misfit(self, value: Value) -> str | None:
        """Return why this signal can never have ``value``, or None if it can."""
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
        return None


def _signal_type(name: str, field: FieldInfo) -> SignalType:
    if get_origin(field.annotation) is Literal:
        return SignalType(name=name, kind="closed", values=get_args(field.annotation))
    if field.annotation is float:
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


def values_of(signals: Signals) -> dict[str, Value]:
    """Return the signals as the plain values that conditions are evaluated on."""
    return {name: getattr(signals, name) for name in SIGNALS}
