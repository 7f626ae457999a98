"""What is said of one request's way through a route: it agrees with the decision, part by part."""

from typing import Any

import pytest

from pointsman.routes.asking import Asking
from pointsman.routes.condition import parse, written
from pointsman.routes.decision import decide
from pointsman.routes.explain import Explanation, explain_for
from pointsman.routes.signal_schema import SIGNALS

from .route_values import registry, registry_of, revision, signals


def explained(
    *targets: dict[str, Any], asked: dict[str, Any] | None = None, **fields: Any
) -> Explanation:
    call: dict[str, Any] = {"request_id": "r", **(asked or {})}
    given = revision(*targets)
    return explain_for(given, registry(), Asking.of(given.route, signals(**fields), **call))


def standings(*targets: dict[str, Any], **more: Any) -> list[str]:
    return [target.standing for target in explained(*targets, **more).targets]


def test_every_part_of_a_condition_says_whether_it_held() -> None:
    text = "(intent  == complex or urgency == high) and not domain in [a, 'b c']"
    (target,) = explained({"model": "small", "condition": text}, urgency="high").targets
    root = target.condition
    assert root is not None
    assert (root.kind, root.held) == ("all", True)
    either, negation = root.parts
    assert (either.kind, either.text) == ("any", "intent == complex or urgency == high")
    assert [(part.text, part.held, part.actual) for part in either.parts] == [
        ("intent == complex", False, "simple"),
        ("urgency == high", True, "high"),
    ]
    assert (negation.kind, negation.held) == ("not", True)
    assert [(part.text, part.held, part.actual) for part in negation.parts] == [
        ('domain in [a, "b c"]', False, "general")
    ]


@pytest.mark.parametrize(
    "text",
    [
        "intent == simple",
        "complexity >= 0.25",
        "(intent == simple or urgency == high) and safety == safe",
        "not (intent == simple and urgency == high) or domain in [a, b]",
        "not domain in ['and', \"it's\", '5g', '', 'a b']",
        "metadata.a-b.c == 'x\"y'",
    ],
)
def test_a_condition_written_again_means_the_same(text: str) -> None:
    expression = parse(text).expression
    assert parse(written(expression)).expression == expression


def test_signals_are_told_with_confidence_and_use() -> None:
    found = explained(
        {"model": "small", "condition": "intent == simple and metadata.team == ''"},
        {"model": "large"},
        confidence={"intent": 0.9},
        asked={"namespace": "n", "metadata": {"team": "t", "other": "o"}},
    )
    by_name = {reading.name: reading for reading in found.signals}
    assert list(by_name) == [*SIGNALS, "namespace", "metadata.team"]
    assert (by_name["intent"].value, by_name["intent"].confidence) == ("simple", 0.9)
    assert by_name["domain"].confidence is None
    assert [name for name, reading in by_name.items() if reading.is_used] == [
        "intent",
        "metadata.team",
    ]
    assert (by_name["namespace"].value, by_name["metadata.team"].value) == ("n", "t")


SIMPLE = {"model": "small", "condition": "intent == simple"}
COMPLEX = {"model": "large", "condition": "intent == complex"}


@pytest.mark.parametrize(
    ("targets", "expected"),
    [
        ([SIMPLE, COMPLEX], ["chosen", "not matched"]),
        # The default is chosen although its condition does not hold.
        ([COMPLEX, {**COMPLEX, "model": "huge"}], ["not matched", "chosen"]),
        (
            [{**SIMPLE, "priority": 1}, {"model": "large"}, {"model": "huge", "weight": 0}],
            ["chosen", "outranked", "drained"],
        ),
        ([{**SIMPLE, "weight": 9999}, {"model": "large"}], ["chosen", "matched"]),
        (
            [
                SIMPLE,
                {"model": "large", "role": "shadow"},
                {"model": "huge", "role": "shadow", "percent": 0},
                {"model": "small", "role": "shadow"},
                {**COMPLEX, "role": "shadow"},
            ],
            ["chosen", "copied", "not sampled", "not copied", "not matched"],
        ),
        (
            [
                {**SIMPLE, "priority": 1, "constraints": {"maxCostUsd": 0}},
                {"model": "large", "weight": 9999},
                {"model": "huge"},
            ],
            ["excluded", "chosen", "matched"],
        ),
        # tiny takes it, the cheapest that there is: all targets are passed over.
        ([{"model": "small", "constraints": {"maxCostUsd": 0.0005}}], ["excluded"]),
    ],
)
def test_each_target_says_where_it_stands(
    targets: list[dict[str, Any]], expected: list[str]
) -> None:
    assert standings(*targets) == expected


def test_an_excluded_target_says_why() -> None:
    found = explained(
        {**SIMPLE, "priority": 1, "constraints": {"maxCostUsd": 0}}, {"model": "large"}
    )
    assert [(each.model, each.reason) for each in found.targets[0].excluded] == [("small", "cost")]
    assert found.targets[1].excluded == ()


def test_shares_are_of_the_targets_that_could_take_it() -> None:
    found = explained(
        {"model": "small", "weight": 30},
        {"model": "large", "weight": 10},
        {**COMPLEX, "weight": 60},
        {"model": "huge", "role": "shadow", "percent": 25},
    )
    assert [target.share for target in found.targets] == [0.75, 0.25, 0, 0]
    assert [target.percent for target in found.targets] == [None, None, None, 25]
    assert [target.weight for target in found.targets] == [30, 10, 60, 0]


@pytest.mark.parametrize("asked", [{}, {"requested_model": "huge"}])
def test_it_explains_what_is_decided(asked: dict[str, Any]) -> None:
    route = revision(
        {"model": "small", "weight": 1},
        {"model": "large", "role": "canary", "weight": 1},
        {"model": "tiny", "role": "shadow"},
    )
    for number in range(20):
        call: dict[str, Any] = {"request_id": str(number), **asked}
        asking = Asking.of(route.route, signals(), **call)
        found = explain_for(route, registry(), asking)
        decision = decide(route, registry(), signals(), **call)
        assert found.decision == decision
        chosen = [target.models for target in found.targets if target.standing == "chosen"]
        assert chosen == ([] if asked else [(decision.model,)])
        assert (found.problem, found.stickiness) == ("", "request")


def test_a_request_without_any_model_says_so() -> None:
    abroad = registry_of(("small", "0.1", {"regions": ["us"]}))
    target = {"model": "small", "constraints": {"regions": ["eu"]}}
    given = revision(target)
    found = explain_for(given, abroad, Asking.of(given.route, signals(), request_id="r"))
    assert found.decision is None
    assert "small: region" in found.problem
    assert [each.standing for each in found.targets] == ["excluded"]
    assert [each.reason for each in found.targets[0].excluded] == ["region"]
