"""What ``route validate`` says of a route that parses."""

import time
from typing import Any

import pytest

from pointsman.routes.registry import ModelRegistry
from pointsman.routes.source import load_route
from pointsman.routes.validate import validate

from .route_values import SLIDE, registry, registry_of, route

SIMPLE = {"model": "small", "priority": 1, "condition": "intent == simple"}
ALWAYS = {"model": "small"}


def condition(text: str) -> list[dict[str, Any]]:
    return [ALWAYS, {"model": "large", "priority": 1, "condition": text}]


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
        (
            [SIMPLE, {**SIMPLE, "role": "primary"}, ALWAYS],
            "warning",
            "spec.targets[1]",
            "same model and condition",
        ),
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
    assert (only.level, only.path) == ("error", "spec.targets[1].condition")
    assert only.is_usable
    assert only.message == "the condition can never hold"


def weighed(*weights: int | None, **more: Any) -> list[dict[str, Any]]:
    names = ("small", "large", "huge", "tiny")
    return [
        {"model": name, **more} if weight is None else {"model": name, "weight": weight, **more}
        for name, weight in zip(names, weights, strict=False)
    ]


@pytest.mark.parametrize(
    ("targets", "numbers"),
    [
        (weighed(70, 20), "the weights add up to 90 (70 + 20), not 100"),
        (weighed(70, 70), "the weights add up to 140 (70 + 70), not 100"),
        # A weight that is not written is 1, and that surprises beside percents.
        (weighed(70, None), "the weights add up to 71 (70 + 1), not 100"),
        (
            [*weighed(50, 40, priority=1, condition="intent == simple"), {"model": "huge"}],
            "the weights of priority 1 add up to 90 (50 + 40), not 100",
        ),
    ],
)
def test_weights_that_are_not_percent_are_named(
    targets: list[dict[str, Any]], numbers: str
) -> None:
    (only,) = validate(route(*targets), registry())
    assert (only.level, only.path) == ("warning", "spec.targets")
    assert only.message.startswith(numbers)


OVER = {"model": "large", "priority": 1}


@pytest.mark.parametrize(
    ("targets", "path", "message"),
    [
        ([OVER, ALWAYS], "spec.targets[1]", "spec.targets[0] of higher priority holds, too"),
        (
            [{**OVER, "condition": "complexity > 0.2"}, {"model": "huge", "weight": 1},
             {"model": "tiny", "weight": 99, "condition": "complexity > 0.3"}],
            "spec.targets[2]",
            "spec.targets[0] of higher priority",
        ),
        # Together they leave nothing.
        (
            [
                {**OVER, "condition": "intent == simple"},
                {**OVER, "model": "huge", "condition": "intent == complex"},
                ALWAYS,
            ],
            "spec.targets[2]",
            "spec.targets[0] or spec.targets[1] of higher priority",
        ),
        (
            [{**OVER, "condition": "metadata.a != ''"}, {"model": "tiny", "weight": 1},
             {"model": "huge", "weight": 99, "condition": "metadata.a == x and namespace == y"}],
            "spec.targets[2]",
            "spec.targets[0] of higher priority",
        ),
    ],
)  # fmt: skip
def test_a_target_that_is_always_outranked_is_found(
    targets: list[dict[str, Any]], path: str, message: str
) -> None:
    (only,) = validate(route(*targets), registry())
    assert (only.level, only.path, only.is_usable) == ("error", path, True)
    assert message in only.message


BOUND = {"regions": ["eu"]}


def bounded() -> ModelRegistry:
    """``local`` and ``abroad``, and ``far`` that is dearer than both."""
    return registry_of(
        ("local", "0.00001", {"regions": ["eu"], "aliases": ["here"]}),
        ("abroad", "0.00002", {"regions": ["us"]}),
        ("far", "0.00003", {"latency_class": "slow"}),
    )


@pytest.mark.parametrize(
    ("targets", "evaluator", "level", "path", "message"),
    [
        (
            [{"model": "abroad", "constraints": BOUND}], {},
            "error", "spec.targets[0].constraints", "own abroad is ruled out: region",
        ),
        (
            [{"model": "far", "constraints": {"latencyClass": "standard"}}], {},
            "error", "spec.targets[0].constraints", "ruled out: latency",
        ),
        (
            [{"models": ["local", "abroad"], "constraints": BOUND}], {},
            "warning", "spec.targets[0].models", "abroad is never chosen, it is ruled out: region",
        ),
        (
            [{"model": "local", "constraints": {"maxCostUsd": 0.003}}], {},
            "warning", "spec.targets[0].constraints.maxCostUsd", "0.004 USD, the most allowed is",
        ),
        (
            [{"model": "local", "fallbacks": ["here"]}], {},
            "warning", "spec.targets[0].fallbacks[0]", "here is the target itself",
        ),
        (
            [{"model": "far", "fallbacks": ["here", "local"]}], {},
            "warning", "spec.targets[0].fallbacks[1]", "local is listed twice",
        ),
        (
            [{"model": "local", "fallbacks": ["abroad"], "constraints": BOUND}], {},
            "warning", "spec.targets[0].fallbacks[0]", "the constraints rule it out: region",
        ),
        (
            [{"model": "local", "fallbacks": ["gone"]}], {},
            "error", "spec.targets[0].fallbacks[0].model", "'gone'",
        ),
        (
            [{"models": ["local", "gone"]}], {},
            "error", "spec.targets[0].models[1]", "'gone'",
        ),
        (
            [{"model": "local"}], {"sibling": "gone"},
            "error", "spec.evaluator.sibling", "'gone'",
        ),
        (
            [{"model": "local", "evaluator": {"minScore": 1, "critic": "gone"}}], {},
            "error", "spec.targets[0].evaluator.critic", "'gone'",
        ),
        (
            [{"model": "local"}], {"sibling": "here"},
            "warning", "spec.targets[0]", "sibling is the target's own model",
        ),
        (
            [{"model": "local", "constraints": BOUND},
             {"model": "far", "priority": 1, "condition": "intent == complex"}],
            {"critic": "abroad", "onLowScore": "flag"},
            "warning", "spec.targets[0]", "critic abroad is not asked here",
        ),
        (
            [{"model": "far"}], {"minScore": 8},
            "warning", "spec.evaluator", "no model is dearer",
        ),
        (
            [{"model": "local"}], {"onLowScore": "human"},
            "warning", "spec.evaluator.onLowScore", "flagged as needing one",
        ),
        (
            [{"model": "local"}], {"onUnsure": "human"},
            "warning", "spec.evaluator.onUnsure", "flagged as needing one",
        ),
        (
            [{"model": "local"}], {"mode": "observe", "plan": "gate"},
            "warning", "spec.evaluator.plan", "no plan is judged",
        ),
        (
            [{"model": "local"}, {"model": "far", "role": "shadow", "percent": 0}], {},
            "warning", "spec.targets[1].percent", "nothing is copied",
        ),
        (
            [{"model": "local"}, {"model": "far", "role": "shadow", "priority": 3}], {},
            "warning", "spec.targets[1].priority", "no effect",
        ),
        (
            [{"model": "local"}] + [
                {"model": "far", "role": "shadow", "condition": f"domain == d{n}"} for n in range(5)
            ], {},
            "warning", "spec.targets", "5 shadows: at most 4",
        ),
        (
            [{"model": "local"},
             {"model": "far", "role": "canary", "priority": 1, "condition": "intent == simple"}],
            {}, "warning", "spec.targets[1]", "no primary target of priority 1",
        ),
        (
            [{"model": "local"}, {"model": "far", "condition": "intent == complex"}], {},
            "warning", "spec.targets[0]", "where spec.targets[1] holds; a higher priority there",
        ),
        (
            [{"model": "local", "name": "x"}, {"model": "far", "name": "x"}], {},
            "warning", "spec.targets[0].name", "'x' is the name of 2 targets",
        ),
    ],
)  # fmt: skip
def test_what_surprises_or_contradicts_is_named(
    targets: list[dict[str, Any]], evaluator: dict[str, Any], level: str, path: str, message: str
) -> None:
    spec: dict[str, Any] = {"evaluator": {"minScore": 8, **evaluator}} if evaluator else {}
    found = validate(route(*targets, **spec), bounded())
    assert (found[0].level, found[0].path) == (level, path)
    assert message in found[0].message
    # Two names are wrong where one name is used twice; otherwise nothing else is said.
    assert len(found) == (2 if "the name of 2" in message else 1)


@pytest.mark.parametrize(
    "targets",
    [
        [ALWAYS],
        # Outranked only sometimes.
        [SIMPLE, {**ALWAYS, "model": "large"}],
        condition("domain != a and domain != b"),
        condition("complexity > 0.4 and complexity < 0.5"),
        condition("complexity == 1 or complexity == 0"),
        condition("context_tokens > 8000"),
        condition("metadata.team == '' or namespace in [a, b]"),
        # Percents within each priority, and percents over all.
        [*weighed(60, 40, priority=1, condition="intent == simple"), *weighed(None)],
        [*weighed(60, condition="intent == simple", priority=1), {"model": "large", "weight": 40}],
        [ALWAYS, {"model": "large", "role": "canary", "condition": "intent == complex"}],
        # A shadow has no weight, and nothing outranks it.
        [{**ALWAYS, "priority": 9}, {"model": "large", "role": "shadow"}],
    ],
)
def test_a_sound_route_has_no_issue(targets: list[dict[str, Any]]) -> None:
    assert validate(route(*targets), registry()) == []


def test_a_route_with_too_many_cases_gets_no_verdict_and_no_delay() -> None:
    names = ("complexity", "tool_need", "novelty", "gain", "ease")
    text = " and ".join(f"{name} > 0.{n} and {name} < 0.{n + 5}" for n, name in enumerate(names, 1))
    targets = [
        {"model": "large", "priority": n + 1, "condition": f"{text} and metadata.n == x{n}"}
        for n in range(60)
    ]
    started = time.process_time()
    assert validate(route(ALWAYS, *targets), registry()) == []
    assert time.process_time() - started < 2


def test_models_are_not_checked_without_a_registry() -> None:
    assert validate(route({"model": "anything"}), None) == []
