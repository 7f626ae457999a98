"""Conditions of a target: a small language with a parser, never ``eval``.

    expression  = conjunction { "or" conjunction }
    conjunction = negation { "and" negation }
    negation    = "not" negation | "(" expression ")" | comparison
    comparison  = name ( "==" | "!=" | "<" | "<=" | ">" | ">=" ) value
                | name [ "not" ] "in" "[" value { "," value } "]"
    name        = a signal | "namespace" | "metadata." KEY
    value       = number | "quoted text" | 'quoted text' | word

Names and values are checked while parsing, so a condition that parses can be evaluated without an
error. Which signals a route lists is checked in ``semantic_route``.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, NoReturn, assert_never, cast

from pointsman.routes.signal_schema import (
    METADATA,
    NAMESPACE,
    SIGNALS,
    SignalType,
    Value,
    name_type,
)
from pointsman.routes.tokens import KEYWORDS, ConditionError, Token, tokens

MAX_LENGTH = 512
# Deeper nesting than a person writes; keeps the parser far from Python's recursion limit.
MAX_DEPTH = 16

Operator = Literal["==", "!=", "<", "<=", ">", ">="]


@dataclass(frozen=True)
class Comparison:
    signal: str
    operator: Operator
    value: Value


@dataclass(frozen=True)
class Membership:
    signal: str
    values: tuple[Value, ...]


@dataclass(frozen=True)
class Not:
    operand: "Expression"


@dataclass(frozen=True)
class AllOf:
    operands: "tuple[Expression, ...]"


@dataclass(frozen=True)
class AnyOf:
    operands: "tuple[Expression, ...]"


Expression = Comparison | Membership | Not | AllOf | AnyOf


@dataclass(frozen=True)
class Condition:
    """A condition as written, its parsed form, and where it first uses each name (column)."""

    text: str
    expression: Expression
    columns: tuple[tuple[str, int], ...]

    def __str__(self) -> str:
        return " ".join(self.text.split())

    def holds(self, values: Mapping[str, Value]) -> bool:
        return holds(self.expression, values)


def parse(text: str) -> Condition:
    """Parse one condition.

    Raises: ConditionError with the column of the first thing that cannot be.
    """
    if len(text) > MAX_LENGTH:
        raise ConditionError(text, MAX_LENGTH + 1, f"longer than {MAX_LENGTH} characters")
    parser = _Parser(text)
    expression = parser.expression(depth=0)
    parser.expect_end()
    return Condition(text=text, expression=expression, columns=tuple(parser.columns.items()))


def written(expression: Expression) -> str:
    """Return ``expression`` in the language's own words, on one line."""
    match expression:
        case AnyOf(operands):
            return " or ".join(written(operand) for operand in operands)
        case AllOf(operands):
            parts = (f"({written(o)})" if isinstance(o, AnyOf) else written(o) for o in operands)
            return " and ".join(parts)
        case Not(operand):
            inner = written(operand)
            return f"not ({inner})" if isinstance(operand, AnyOf | AllOf) else f"not {inner}"
        case Membership(signal, values):
            return f"{signal} in [{', '.join(_word(value) for value in values)}]"
        case Comparison(signal, operator, value):
            return f"{signal} {operator} {_word(value)}"
        case _:
            assert_never(expression)


def _word(value: Value) -> str:
    if not isinstance(value, str):
        return f"{value:g}"
    try:
        (only, _) = tokens(value)
    except ValueError:
        return _quoted(value)
    is_word = only.kind == "word" and only.text == value and value not in KEYWORDS
    return value if is_word else _quoted(value)


def _quoted(value: str) -> str:
    mark = "'" if '"' in value else '"'
    return f"{mark}{value}{mark}"


def holds(expression: Expression, values: Mapping[str, Value]) -> bool:
    """Return whether ``expression`` is true of these signal values."""
    match expression:
        case AnyOf(operands):
            return any(holds(operand, values) for operand in operands)
        case AllOf(operands):
            return all(holds(operand, values) for operand in operands)
        case Not(operand):
            return not holds(operand, values)
        case Membership(signal, members):
            return values[signal] in members
        case Comparison():
            return _compare(expression, values[expression.signal])
        case _:
            assert_never(expression)


def comparisons(expression: Expression) -> Iterator[tuple[str, Value]]:
    """Yield every (signal, value) that ``expression`` looks at."""
    match expression:
        case AnyOf(operands) | AllOf(operands):
            for operand in operands:
                yield from comparisons(operand)
        case Not(operand):
            yield from comparisons(operand)
        case Membership(signal, values):
            yield from ((signal, value) for value in values)
        case Comparison(signal, _, value):
            yield signal, value
        case _:
            assert_never(expression)


def _compare(comparison: Comparison, actual: Value) -> bool:
    if comparison.operator == "==":
        return actual == comparison.value
    if comparison.operator == "!=":
        return actual != comparison.value
    left, right = float(actual), float(comparison.value)
    match comparison.operator:
        case "<":
            return left < right
        case "<=":
            return left <= right
        case ">":
            return left > right
        case ">=":
            return left >= right
        case _:
            assert_never(comparison.operator)


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = list(tokens(text))
        self._at = 0
        self.columns: dict[str, int] = {}

    def expression(self, *, depth: int) -> Expression:
        operands = [self._conjunction(depth)]
        while self._take("or"):
            operands.append(self._conjunction(depth))
        return operands[0] if len(operands) == 1 else AnyOf(tuple(operands))

    def expect_end(self) -> None:
        if self._next.kind != "end":
            self._fail(f"expected 'and', 'or' or the end, found {self._next.text!r}")

    def _conjunction(self, depth: int) -> Expression:
        operands = [self._negation(depth)]
        while self._take("and"):
            operands.append(self._negation(depth))
        return operands[0] if len(operands) == 1 else AllOf(tuple(operands))

    def _negation(self, depth: int) -> Expression:
        if depth > MAX_DEPTH:
            self._fail(f"nested deeper than {MAX_DEPTH}")
        if self._take("not"):
            return Not(self._negation(depth + 1))
        if self._take("("):
            inner = self.expression(depth=depth + 1)
            self._expect(")")
            return inner
        return self._comparison()

    def _comparison(self) -> Expression:
        signal = self._signal()
        if self._take("not"):
            self._expect("in")
            return Not(self._membership(signal))
        if self._take("in"):
            return self._membership(signal)
        token = self._next
        if token.kind != "operator":
            self._fail(f"expected a comparison after {signal.name}")
        self._at += 1
        if token.text not in {"==", "!="} and signal.kind != "number":
            self._fail(f"{signal.name} is text; {token.text!r} compares numbers", token)
        return Comparison(signal.name, cast("Operator", token.text), self._value(signal))

    def _membership(self, signal: SignalType) -> Membership:
        self._expect("[")
        values = [self._value(signal)]
        while self._take(","):
            values.append(self._value(signal))
        self._expect("]")
        return Membership(signal.name, tuple(values))

    def _signal(self) -> SignalType:
        token = self._next
        if token.kind != "word" or token.text in KEYWORDS:
            found = f", found {token.text!r}" if token.text else ""
            self._fail(f"expected a signal's name{found}")
        signal = name_type(token.text)
        if signal is None:
            known = ", ".join((*SIGNALS, NAMESPACE, f"{METADATA}KEY"))
            self._fail(f"unknown signal {token.text!r} (one of: {known})")
        self._at += 1
        self.columns.setdefault(token.text, token.column)
        return signal

    def _value(self, signal: SignalType) -> Value:
        token = self._next
        value: Value
        if token.kind == "number":
            value = float(token.text)
        elif token.kind == "text":
            value = token.text[1:-1]
        elif token.kind == "word" and token.text not in KEYWORDS:
            value = token.text
        else:
            self._fail(f"expected a value for {signal.name}")
        misfit = signal.misfit(value)
        if misfit:
            self._fail(misfit)
        self._at += 1
        return value

    @property
    def _next(self) -> Token:
        return self._tokens[self._at]

    def _take(self, text: str) -> bool:
        token = self._next
        if token.kind in {"word", "mark"} and token.text == text:
            self._at += 1
            return True
        return False

    def _expect(self, text: str) -> None:
        if not self._take(text):
            self._fail(f"expected {text!r}")

    def _fail(self, reason: str, token: Token | None = None) -> NoReturn:
        raise ConditionError(self._text, (token or self._next).column, reason)
