"""What a condition means, and what is said of one that cannot be."""

from typing import Any

import pytest

from pointsman.contracts.parts import Signals
from pointsman.routes.condition import MAX_LENGTH, parse
from pointsman.routes.signal_schema import SIGNALS, values_of
from pointsman.routes.tokens import ConditionError

from .route_values import signals


def test_every_signal_of_the_contract_can_be_named() -> None:
    assert set(SIGNALS) == set(Signals.model_fields) - {"confidence"}


@pytest.mark.parametrize(
    ("text", "fields", "expected"),
    [
        ("intent == simple", {}, True),
        ("intent == complex", {}, False),
        ("intent != complex", {}, True),
        ("complexity < 0.2", {}, False),
        ("complexity <= 0.2", {}, True),
        ("complexity > 0.1", {}, True),
        ("complexity >= 0.3", {}, False),
        ("complexity == 1", {"complexity": 1.0}, True),
        ("domain in [billing, 'my account', \"x\"]", {"domain": "my account"}, True),
        ("domain in [billing]", {}, False),
        ("domain not in [billing]", {}, True),
        ("domain == credit-card.eu", {"domain": "credit-card.eu"}, True),
        ("domain == 'and'", {"domain": "and"}, True),
        ("not intent == simple", {}, False),
        ("not not intent == simple", {}, True),
        # "and" binds tighter than "or", "not" tighter than both.
        ("intent == simple or safety == suspicious and urgency == high", {}, True),
        ("(intent == simple or safety == suspicious) and urgency == high", {}, False),
        ("not intent == simple or safety == safe", {}, True),
        ("not (intent == simple or safety == safe)", {}, False),
        ("intent==simple\n  and urgency\tin[low,normal]", {}, True),
    ],
)
def test_a_condition_holds_as_it_reads(text: str, fields: dict[str, Any], expected: bool) -> None:
    assert parse(text).holds(values_of(signals(**fields))) is expected


@pytest.mark.parametrize(
    ("text", "column", "reason"),
    [
        ("", 1, "expected a signal's name"),
        ("intent", 7, "expected a comparison after intent"),
        ("intent ==", 10, "expected a value for intent"),
        ("intent == and", 11, "expected a value for intent"),
        ("colour == red", 1, "unknown signal 'colour'"),
        ("intent == purple", 11, "never 'purple' (one of: simple, complex)"),
        ("intent in [simple, purple]", 20, "never 'purple'"),
        ("intent == 3", 11, "intent is text, 3 is a number"),
        ("domain < billing", 8, "'<' compares numbers"),
        ("complexity > high", 14, "complexity is a number, 'high' is text"),
        ("complexity > 1.5", 14, "between 0 and 1, never 1.5"),
        ("complexity > -1", 14, "between 0 and 1, never -1"),
        ("intent = simple", 8, "use '=='"),
        ("intent == simple && urgency == high", 18, "use 'and'"),
        ("! intent == simple", 1, "use 'not'"),
        ("domain == 'billing", 11, "never closed"),
        ("domain == 5g", 11, "quotation marks"),
        ("(intent == simple", 18, "expected ')'"),
        ("intent == simple)", 17, "expected 'and', 'or' or the end"),
        ("intent == simple urgency == high", 18, "expected 'and', 'or' or the end"),
        ("intent == simple AND urgency == high", 18, "expected 'and', 'or' or the end"),
        ("domain in []", 12, "expected a value for domain"),
        ("domain in billing", 11, "expected '['"),
        ("domain in [a b]", 14, "expected ']'"),
        ("__import__('os')", 1, "unknown signal"),
        ("domain == a;", 12, "not understood here"),
        ("(" * 300 + "intent == simple" + ")" * 150, 18, "nested deeper than 16"),
        ("not " * 100 + "intent == simple", 69, "nested deeper than 16"),
        ("x" * (MAX_LENGTH + 1), MAX_LENGTH + 1, "longer than 512 characters"),
    ],
)
def test_a_bad_condition_names_its_column(text: str, column: int, reason: str) -> None:
    with pytest.raises(ConditionError) as caught:
        parse(text)
    assert caught.value.column == column
    assert reason in caught.value.reason


def test_the_excerpt_has_its_caret_under_the_error() -> None:
    with pytest.raises(ConditionError) as caught:
        parse("intent ==\npurple")
    line, caret = caught.value.excerpt.splitlines()
    assert line[caret.index("^") :] == "purple"
