"""What ``route validate`` says of a route that parses."""

from typing import Any

import pytest

from pointsman.routes.source import load_route
from pointsman.routes.validate import validate

from .route_values import SLIDE, registry, route

SIMPLE = {"model": "small", "condition": "intent == simple"}
ALWAYS = {"model": "small"}


def condition(text: str) -> list[dict[str, Any]]:
    return [ALWAYS, {"model": "large", "condition": text}]


def test_the_slide_has_an_implied_default_and_nothing_else() -> None:
    (only,) = validate(load_route(SLIDE).route, registry())
    assert (only.level, only.path) == ("warning", "spec.targets[1]")
    assert only.message == "no target is without a condition; reasoning-frontier is the default"


@pytest.mark.parametrize(
    ("targets", "level", "path", "message"),
    [
        ([ALWAYS, {"model": "gone"}], "error", "spec.targets[1].model", "model 'gone' is not in"),
        ([{**ALWAYS, "weight": 0}], "error", "spec.targets", "every weight is 0"),
        ([ALWAYS, {"model": "large", "weight": 0}], "warning", "spec.targets[1].weight", "never"),
        ([SIMPLE, SIMPLE, ALWAYS], "warning", "spec.targets[1]", "same model and condition"),
        # An alias is the same model.
        ([ALWAYS, {"model": "llama-3-8b"}], "warning", "spec.targets[1]", "as spec.targets[0]"),
    ],
)
def test_an_issue_is_found(
    targets: list[dict[str, Any]], level: str, path: str, message: str
) -> None:
    (only,) = validate(route(*targets), registry())
    assert (only.level, only.path) == (level, path)
    assert message in only.message


@pytest.mark.parametrize(
    "text",
    [
        "intent == simple and intent == complex",
        "complexity > 0.5 and complexity < 0.4",
        "domain == a and domain == b",
        "not (urgency in [low, normal, high])",
    ],
)
def test_a_condition_that_can_never_hold_is_found(text: str) -> None:
    (only,) = validate(route(*condition(text)), registry())
    assert (only.level, only.path) == ("warning", "spec.targets[1].condition")
    assert only.message == "the condition can never hold"


@pytest.mark.parametrize(
    "targets",
    [
        [ALWAYS],
        [SIMPLE, {**ALWAYS, "model": "large"}],
        condition("domain != a and domain != b"),
        condition("complexity > 0.4 and complexity < 0.5"),
        condition("complexity == 1 or complexity == 0"),
    ],
)
def test_a_sound_route_has_no_issue(targets: list[dict[str, Any]]) -> None:
    assert validate(route(*targets), registry()) == []


def test_models_are_not_checked_without_a_registry() -> None:
    assert validate(route({"model": "anything"}), None) == []
