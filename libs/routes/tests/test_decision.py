"""The decision that travels with a request."""

import pytest

from pointsman.contracts.parts import Evaluator, RouteDecision
from pointsman.routes.decision import decide, explain
from pointsman.routes.registry import UnknownModel
from pointsman.routes.source import load_route

from .route_values import SLIDE, registry, revision, signals


def test_the_slide_decides_for_a_simple_request() -> None:
    slide = load_route(SLIDE)
    assert decide(slide, registry(), signals(), request_id="r") == RouteDecision(
        route="dynamic-model-routing",
        revision=slide.revision,
        target="llama-3-8b",
        model="small",
        reason="intent == simple",
        fallbacks=("large",),
        escalations=("large", "huge"),
        evaluator=Evaluator(min_score=8),
        use_tools=False,
    )


def test_the_dearest_model_has_nobody_to_escalate_to() -> None:
    decision = decide(revision({"model": "huge"}), registry(), signals(), request_id="r")
    assert decision.escalations == ()
    assert decision.evaluator is None


def test_the_routes_own_models_come_before_the_registrys() -> None:
    # huge is in the route and large is not, so huge is asked first although it is dearer.
    two = revision(
        {"model": "tiny"},
        {"model": "huge", "condition": "intent == complex"},
    )
    decision = decide(two, registry(), signals(), request_id="r")
    assert decision.escalations == ("huge", "small", "large")


def test_a_target_of_weight_0_is_not_preferred() -> None:
    drained = revision({"model": "tiny"}, {"model": "huge", "weight": 0})
    assert decide(drained, registry(), signals(), request_id="r").escalations[-1] == "huge"


@pytest.mark.parametrize(
    ("tool_need", "has_own_tools", "expected"),
    [(0.49, False, False), (0.5, False, True), (0.9, True, False)],
)
def test_tools_are_bound_when_needed_and_the_client_has_none(
    tool_need: float, has_own_tools: bool, expected: bool
) -> None:
    decision = decide(
        load_route(SLIDE),
        registry(),
        signals(tool_need=tool_need),
        request_id="r",
        has_own_tools=has_own_tools,
    )
    assert decision.use_tools is expected


@pytest.mark.parametrize("name", ["small", "llama-3-8b"])
def test_a_named_model_is_pinned(name: str) -> None:
    decision = decide(
        load_route(SLIDE),
        registry(),
        signals(intent="complex"),
        request_id="r",
        requested_model=name,
    )
    assert (decision.target, decision.model) == (name, "small")
    assert decision.reason == "pinned by the request"
    assert decision.fallbacks == ("large",)
    assert decision.escalations == ()
    assert decision.evaluator == Evaluator(min_score=8, on_low_score="flag")


def test_an_unknown_named_model_is_refused() -> None:
    with pytest.raises(UnknownModel):
        decide(load_route(SLIDE), registry(), signals(), request_id="r", requested_model="gone")


def test_explain_says_which_conditions_held() -> None:
    some = revision(
        {"model": "small", "condition": "intent  ==\n simple"},
        {"model": "large", "condition": "urgency == high"},
        {"model": "huge"},
    )
    assert explain(some, signals()) == [
        ("intent == simple", True),
        ("urgency == high", False),
        ("always", True),
    ]
