"""Constraints and needs: who may take a request, and what happens when its target may not."""

from decimal import Decimal
from typing import Any

import pytest

from pointsman.contracts.parts import RouteDecision
from pointsman.routes.choice import NoEligibleModel
from pointsman.routes.constraints import Constraints
from pointsman.routes.decision import decide
from pointsman.routes.eligibility import misfit
from pointsman.routes.registry import ModelRegistry

from .route_values import registry_of, revision, signals

EU = {"regions": ["eu"]}
HIPAA = {"compliance": ["hipaa"]}
ROUTED = "metadata.data == private"

MODELS: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("cheap", "0.000001", {"regions": ["us"], "latency_class": "fast", "context_window": 1000}),
    ("euro", "0.00001", {"regions": ["eu", "us"], "compliance": ["soc2", "hipaa"]}),
    ("eyes", "0.00002", {"capabilities": ["chat", "vision"], "regions": ["us"]}),
    ("slow-euro", "0.00003", {"regions": ["eu"], "latency_class": "slow"}),
    ("frontier", "0.0001", {"capabilities": ["chat", "vision", "tool_use"]}),
)


def registry(*without: str, **more: dict[str, Any]) -> ModelRegistry:
    return registry_of(
        *(
            (name, output, fields | more.get(name, {}))
            for name, output, fields in MODELS
            if name not in without
        )
    )


def decided(
    *targets: dict[str, Any],
    models: ModelRegistry | None = None,
    asked: dict[str, Any] | None = None,
    spec: dict[str, Any] | None = None,
    **fields: Any,
) -> RouteDecision:
    return decide(
        revision(*targets, **(spec or {})),
        models or registry(),
        signals(**fields),
        request_id="r",
        **(asked or {}),
    )


def why(decision: RouteDecision) -> list[tuple[str, str]]:
    return [(each.model, each.reason) for each in decision.excluded]


@pytest.mark.parametrize(
    ("name", "constraints", "reason"),
    [
        ("cheap", {}, None),
        ("cheap", {"regions": ["us"]}, None),
        ("cheap", {"regions": ["eu", "us"]}, None),
        ("cheap", EU, "region"),
        # A model that lists no region is in none.
        ("frontier", EU, "region"),
        ("euro", {"compliance": ["hipaa", "soc2"]}, None),
        ("euro", {"compliance": ["hipaa", "iso"]}, "compliance"),
        ("eyes", {"capabilities": ["vision"]}, None),
        ("euro", {"capabilities": ["vision"]}, "capability"),
        ("cheap", {"latencyClass": "fast"}, None),
        ("euro", {"latencyClass": "fast"}, "latency"),
        ("euro", {"latencyClass": "slow"}, None),
        ("slow-euro", {"latencyClass": "standard"}, "latency"),
        ("euro", {"maxCostUsd": "0.01"}, None),
        ("euro", {"maxCostUsd": "0.0099"}, "cost"),
        # Where data may go comes first.
        ("cheap", {**EU, "maxCostUsd": 0}, "region"),
    ],
)
def test_a_constraint_rules_out_what_does_not_meet_it(
    name: str, constraints: dict[str, Any], reason: str | None
) -> None:
    model = registry().resolve(name)
    asked = Constraints.model_validate(constraints)
    assert misfit(model, asked, Decimal("0.01")) == reason


LOOKING: dict[str, Any] = {"modality": "image"}
LONG: dict[str, Any] = {"context_tokens": 1001}


@pytest.mark.parametrize(
    ("targets", "fields", "model", "excluded"),
    [
        # The request itself: what it shows, how long it is.
        ([{"model": "cheap"}, {"model": "eyes"}], LOOKING, "eyes", [("cheap", "capability")]),
        ([{"model": "cheap"}, {"model": "euro"}], LONG, "euro", [("cheap", "context_window")]),
        # The next one of the same priority, then lower ones, then the default.
        (
            [
                {"model": "cheap", "priority": 2},
                {"model": "euro", "priority": 1},
                {"model": "eyes"},
            ],
            LOOKING,
            "eyes",
            [("cheap", "capability"), ("euro", "capability")],
        ),
        # The default is ruled out, too: the cheapest that can.
        ([{"model": "cheap"}], LOOKING, "eyes", [("cheap", "capability")]),
        # An attempt may cost what 400 tokens of answer are estimated at.
        (
            [{"model": "euro", "constraints": {"maxCostUsd": 0.003}}],
            {},
            "cheap",
            [("euro", "cost")],
        ),
        # Nobody is fast and sees: the default all the same, and it says so.
        (
            [{"model": "euro", "constraints": {"latencyClass": "fast"}}],
            LOOKING,
            "euro",
            [("euro", "latency")],
        ),
    ],
)
def test_a_target_that_is_ruled_out_is_passed_over(
    targets: list[dict[str, Any]],
    fields: dict[str, Any],
    model: str,
    excluded: list[tuple[str, str]],
) -> None:
    # Weight so that the first one listed is picked.
    heavy = [{"weight": 1000 if at == 0 else 1, **target} for at, target in enumerate(targets)]
    decision = decided(*heavy, **fields)
    assert decision.model == model
    assert why(decision)[: len(excluded)] == excluded


def test_a_need_that_no_model_meets_rules_nobody_out() -> None:
    decision = decided({"model": "cheap"}, asked={"needs": {"telepathy"}})
    assert (decision.model, decision.excluded) == ("cheap", ())


def test_a_default_that_is_used_against_a_constraint_says_so() -> None:
    decision = decided({"model": "euro", "constraints": {"maxCostUsd": 0.0001}})
    assert decision.model == "euro"
    assert decision.reason == "default, although the constraints rule it out"
    assert ("euro", "cost") in why(decision)


def test_no_request_ends_where_its_data_may_not_go() -> None:
    private = {"model": "euro", "priority": 1, "condition": ROUTED, "constraints": {**EU, **HIPAA}}
    asked = {"metadata": {"data": "private"}}
    # Too long for euro: the default is in another region, and slow-euro is not compliant.
    targets = (private, {"model": "frontier"})
    assert decided(*targets, context_tokens=9000, models=_short_euro()).model == "frontier"
    with pytest.raises(NoEligibleModel, match="frontier: region") as caught:
        decided(*targets, asked=asked, context_tokens=9000, models=_short_euro("euro"))
    assert ("euro", "compliance") in [(e.model, e.reason) for e in caught.value.excluded]


def test_a_request_too_long_for_its_region_goes_to_the_registrys_cheapest_there() -> None:
    private = {"model": "euro", "priority": 1, "condition": ROUTED, "constraints": EU}
    decision = decided(
        private,
        {"model": "frontier"},
        asked={"metadata": {"data": "private"}},
        context_tokens=9000,
        models=_short_euro(),
    )
    assert decision.model == "slow-euro"
    assert decision.reason == "the cheapest that the constraints allow"
    assert why(decision)[:2] == [("euro", "context_window"), ("frontier", "region")]
    # Its followers are bound like itself.
    assert decision.fallbacks == ()
    assert decision.escalations == ()


def _short_euro(*not_compliant: str) -> ModelRegistry:
    fields: dict[str, Any] = {"context_window": 8000}
    if not_compliant:
        fields["compliance"] = ["soc2"]
    return registry(euro=fields)


def test_fallbacks_and_escalations_meet_the_constraints_of_the_target() -> None:
    target = {
        "model": "euro",
        "constraints": EU,
        "fallbacks": ["cheap", "slow-euro"],
    }
    decision = decided(target, {"model": "frontier", "condition": "intent == complex"})
    assert decision.fallbacks == ("slow-euro",)
    assert decision.escalations == ("slow-euro",)
    assert set(why(decision)) == {("cheap", "region"), ("frontier", "region"), ("eyes", "region")}


def test_a_follower_that_cannot_read_the_request_is_left_out() -> None:
    decision = decided({"model": "euro", "fallbacks": ["cheap", "eyes"]}, **LONG)
    assert decision.fallbacks == ("eyes",)


def test_copies_and_second_models_see_only_what_they_may() -> None:
    evaluator = {"minScore": 8, "sibling": "cheap", "critic": "slow-euro"}
    shadows = [{"role": "shadow", "model": name} for name in ("frontier", "slow-euro")]
    decision = decided(
        {"model": "euro", "constraints": EU}, *shadows, spec={"evaluator": evaluator}
    )
    assert decision.evaluator is not None
    assert (decision.evaluator.sibling, decision.evaluator.critic) == (None, "slow-euro")
    assert decision.shadows == ("slow-euro",)


def test_a_shadow_has_constraints_of_its_own() -> None:
    shadow = {"role": "shadow", "model": "euro", "constraints": {"maxCostUsd": 0.0041}}
    assert decided({"model": "cheap"}, shadow).shadows == ("euro",)
    assert decided({"model": "cheap"}, shadow, context_tokens=200).shadows == ()


@pytest.mark.parametrize(
    ("prefer", "fields", "model"),
    [
        (None, {}, "slow-euro"),
        ("cost", {}, "cheap"),
        ("latency", {}, "cheap"),
        # cheap is too small now; euro is cheaper than slow-euro, and faster.
        ("cost", LONG, "euro"),
        ("latency", LONG, "euro"),
        # Tools are a preference: the only one that can use them comes first.
        ("cost", {"tool_need": 0.9}, "frontier"),
    ],
)
def test_a_pool_gives_the_model_that_fits_best(
    prefer: str | None, fields: dict[str, Any], model: str
) -> None:
    pool = {"models": ["slow-euro", "frontier", "euro", "cheap"]}
    target = pool if prefer is None else {**pool, "prefer": prefer}
    decision = decided(target, **fields)
    assert decision.model == decision.target == model
    # The rest of the pool is there when it fails.
    eligible = {"slow-euro", "frontier", "euro", "cheap"} - {name for name, _ in why(decision)}
    assert set(decision.fallbacks) == eligible - {model}


def test_a_pool_is_filtered_like_any_target() -> None:
    pool = {"models": ["cheap", "slow-euro", "euro"], "prefer": "cost", "constraints": EU}
    decision = decided(pool)
    assert decision.model == "euro"
    assert decision.fallbacks == ("slow-euro",)


def test_a_simulated_answer_never_replaces_a_real_one_unasked() -> None:
    models = registry(eyes={"is_simulated": True})
    decision = decided({"model": "cheap"}, models=models, **LOOKING)
    assert decision.model == "frontier"
    assert ("eyes", "simulated") in why(decision)
    assert "eyes" not in decision.escalations
    by_name = decided({"model": "cheap", "fallbacks": ["eyes"]}, models=models)
    assert by_name.fallbacks == ("eyes",)
    assert "eyes" not in by_name.escalations
