"""Recorded requests decided again: the same code, and what the record does not tell."""

from itertools import product
from typing import Any

import pytest

from pointsman.contracts.parts import RouteDecision, RoutingInputs, Signals
from pointsman.routes.asking import Asking
from pointsman.routes.decision import decide, decide_for
from pointsman.routes.registry import ModelRegistry
from pointsman.routes.replay import NO_MODEL, Replayed, Version, replay
from pointsman.routes.source import RouteRevision

from .route_values import registry, revision, signals

SMALL: dict[str, Any] = {"model": "small", "condition": "intent == simple"}
LARGE: dict[str, Any] = {"model": "large", "condition": "intent == complex"}
OTHERS: dict[str, Any] = {"model": "large"}

BEFORE = revision(SMALL, LARGE)


def recorded(model: str = "small", **fields: Any) -> RouteDecision:
    body = {"route": "test", "revision": "0", "target": model, "model": model, "reason": "then"}
    return RouteDecision.model_validate(body | fields)


def replayed(
    new: RouteRevision,
    seen: Signals | None = None,
    *,
    old: RouteRevision = BEFORE,
    decision: RouteDecision | None = None,
    models: ModelRegistry | None = None,
    request_id: str = "r-1",
    **inputs: Any,
) -> Replayed:
    return replay(
        seen or signals(),
        RoutingInputs.model_validate(inputs),
        decision or recorded(),
        request_id=request_id,
        namespace="acme",
        old=Version(route=old, registry=registry()),
        new=Version(route=new, registry=models or registry()),
    )


RULES = revision(
    {"model": "tiny", "name": "cheap", "weight": 3, "condition": "complexity < 0.5"},
    {"model": "small", "weight": 2, "condition": "complexity < 0.5"},
    {"model": "huge", "priority": 5, "condition": "urgency == high and namespace == acme"},
    {"model": "large", "constraints": {"maxCostUsd": 0.5}},
)


@pytest.mark.parametrize("complexity", [0.1, 0.9])
@pytest.mark.parametrize("urgency", ["low", "high"])
def test_a_request_is_decided_again_as_decide_decides(complexity: float, urgency: str) -> None:
    for number, namespace in product(range(20), ("acme", "other")):
        seen = signals(complexity=complexity, urgency=urgency)
        asked: dict[str, Any] = {"request_id": f"r-{number}", "namespace": namespace}
        first = decide(RULES, registry(), seen, **asked)
        inputs = Asking.of(RULES.route, seen, **asked).inputs
        side = Version(route=RULES, registry=registry())
        found = replay(seen, inputs, first, old=side, new=side, **asked)
        again = decide_for(RULES, registry(), Asking.again(seen, inputs, **asked))
        assert found.new == found.old
        assert (found.new.model, found.new.target, found.new.reason) == (
            again.model,
            again.target,
            again.reason,
        )
        assert found.new.model == first.model


def test_weights_are_drawn_with_the_recorded_key() -> None:
    split = revision({"model": "small"}, {"model": "large"})
    low, high = "0" * 16, "f" * 16
    assert replayed(split, sticky_key=low).new.model == "small"
    assert replayed(split, sticky_key=high).new.model == "large"


def test_a_request_that_named_its_model_goes_there_under_any_route() -> None:
    pinned = recorded("huge", role="pinned")
    found = replayed(revision({"model": "large"}), decision=pinned)
    by_inputs = replayed(revision({"model": "large"}), requested_model="huge")
    assert found.is_pinned
    assert by_inputs.is_pinned
    assert found.old.model == found.new.model == "huge"


def test_what_was_recorded_is_kept_beside_what_the_old_route_decides_now() -> None:
    found = replayed(BEFORE, decision=recorded("large", revision="abc"))
    assert (found.model, found.revision, found.old.model) == ("large", "abc", "small")


def test_each_side_reads_its_route_with_its_own_registry() -> None:
    renamed = registry().model_dump(mode="json")
    renamed["models"][1]["id"] = "newer"
    renamed["models"][1]["aliases"] = ["small", "llama-3-8b"]
    found = replayed(BEFORE, models=ModelRegistry.model_validate(renamed))
    assert (found.old.model, found.new.model) == ("small", "newer")


@pytest.mark.parametrize(
    ("condition", "hangs_on"),
    [
        ("metadata.tier == gold", ("metadata.tier",)),
        ("metadata.tier != gold and intent == simple", ("metadata.tier",)),
        ("not (metadata.tier == gold)", ("metadata.tier",)),
        ("metadata.tier in [gold] or metadata.team == a", ("metadata.team", "metadata.tier")),
        # What the rest of the condition settles hangs on nothing.
        ("metadata.tier == gold and intent == complex", ()),
        ("metadata.tier == gold or intent == simple", ()),
        ("not (metadata.tier == gold or intent == simple)", ()),
        ("namespace == acme", ()),
    ],
)
def test_a_key_that_was_not_recorded_counts_where_it_can_turn_a_condition(
    condition: str, hangs_on: tuple[str, ...]
) -> None:
    found = replayed(revision({"model": "huge", "condition": condition}, OTHERS))
    assert found.hangs_on == hangs_on


def test_a_key_that_was_recorded_decides() -> None:
    gold = {"model": "huge", "priority": 1, "condition": "metadata.tier == gold"}
    found = replayed(revision(gold, OTHERS), metadata={"tier": "gold"})
    assert (found.hangs_on, found.new.model) == ((), "huge")


def test_a_shadow_decides_nothing() -> None:
    copied = {"model": "huge", "role": "shadow", "condition": "metadata.tier == gold"}
    assert replayed(revision(copied, SMALL, OTHERS)).hangs_on == ()


def test_a_signal_that_an_older_record_lacks_is_unknown() -> None:
    older = Signals.model_validate_json(
        '{"intent":"simple","domain":"general","complexity":0.2,"urgency":"low","safety":"safe"}'
    )
    new = revision({"model": "huge", "condition": "novelty > 0.5"}, OTHERS, signals=["novelty"])
    assert replayed(new, older).hangs_on == ("novelty",)
    assert replayed(new, signals(novelty=0.9)).hangs_on == ()


def test_a_route_that_lets_no_model_take_it_says_so() -> None:
    nowhere = revision({"model": "small", "constraints": {"regions": ["mars"]}})
    assert replayed(nowhere).new.model == NO_MODEL
