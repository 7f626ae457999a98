"""Which target takes a request."""

import subprocess
import sys
from collections import Counter
from typing import Any

import pytest

from pointsman.contracts.parts import Signals
from pointsman.routes.asking import digest
from pointsman.routes.select import Selection, selections
from pointsman.routes.semantic_route import SemanticRoute
from pointsman.routes.signal_schema import values_of

from .route_values import revision, route, signals

SIMPLE = {"model": "a", "weight": 70, "condition": "intent == simple"}
COMPLEX = {"model": "b", "weight": 30, "condition": "intent == complex"}
HIGH = {"model": "c", "condition": "urgency == high"}


def select(some: SemanticRoute, given: Signals, *, key: str) -> Selection:
    """The target that is tried first."""
    return next(selections(some, values_of(given), point=int(digest(key), 16)))


@pytest.mark.parametrize(
    ("targets", "fields", "model", "reason"),
    [
        ([SIMPLE, COMPLEX], {"intent": "simple"}, "a", "intent == simple"),
        ([SIMPLE, COMPLEX], {"intent": "complex"}, "b", "intent == complex"),
        # Nothing holds: the last one listed.
        ([COMPLEX, HIGH], {}, "c", "default"),
        # Nothing holds: the unconditional one, wherever it stands.
        ([{"model": "d"}, COMPLEX], {}, "d", "default"),
        # Weight 0 never takes a request, even where its condition holds ...
        ([COMPLEX, {**SIMPLE, "weight": 0}], {}, "b", "default"),
        ([SIMPLE, {**HIGH, "weight": 0}], {"intent": "complex"}, "a", "default"),
        # ... unless there is nothing else.
        ([{**COMPLEX, "weight": 0}, {**HIGH, "weight": 0}], {}, "c", "default"),
    ],
)
def test_the_target_is_the_one_that_holds_or_the_default(
    targets: list[dict[str, Any]], fields: dict[str, Any], model: str, reason: str
) -> None:
    chosen = {select(route(*targets), signals(**fields), key=str(key)) for key in range(50)}
    assert {(selection.target.model, selection.reason) for selection in chosen} == {(model, reason)}


def test_weights_are_relative_among_the_targets_that_hold() -> None:
    canary = {"model": "canary", "weight": 10, "condition": "intent == simple"}
    split = route({**SIMPLE, "weight": 30}, canary, {**COMPLEX, "weight": 1000})
    chosen = [select(split, signals(), key=f"request-{n}") for n in range(4000)]
    counts = Counter(selection.target.model for selection in chosen)
    assert set(counts) == {"a", "canary"}
    assert counts["canary"] / 4000 == pytest.approx(0.25, abs=0.03)
    assert {selection.share for selection in chosen} == {0.75, 0.25}


def test_an_unconditional_target_shares_with_those_that_hold() -> None:
    split = route(SIMPLE, {"model": "always", "weight": 70})
    assert select(split, signals(), key="x").share == 0.5


def test_growing_a_canary_moves_no_request_away_from_it() -> None:
    def on_canary(weight: int) -> set[int]:
        split = route({"model": "canary", "weight": weight}, {"model": "a", "weight": 100 - weight})
        return {
            n for n in range(500) if select(split, signals(), key=str(n)).target.model == "canary"
        }

    assert on_canary(10) < on_canary(30) < on_canary(60)


HIGH_PRIORITY = {"model": "first", "priority": 5, "condition": "urgency == high"}


@pytest.mark.parametrize(
    ("targets", "fields", "order"),
    [
        # Priority decides before weight does, and what it outranks comes after it.
        ([SIMPLE, HIGH_PRIORITY], {"urgency": "high"}, ["first", "a"]),
        ([SIMPLE, HIGH_PRIORITY], {}, ["a", "first"]),
        # The default comes last, and only once.
        ([HIGH_PRIORITY, COMPLEX], {"urgency": "high"}, ["first", "b"]),
        ([HIGH_PRIORITY, {"model": "d"}], {"urgency": "high"}, ["first", "d"]),
        ([COMPLEX, {"model": "d"}], {}, ["d"]),
        # A shadow is never chosen, not even as the last one listed.
        ([SIMPLE, {"model": "s", "role": "shadow"}], {"intent": "complex"}, ["a"]),
        # Nor is a canary the default.
        ([SIMPLE, {**HIGH, "role": "canary"}], {"intent": "complex"}, ["a"]),
    ],
)
def test_targets_are_tried_by_priority_and_then_the_default(
    targets: list[dict[str, Any]], fields: dict[str, Any], order: list[str]
) -> None:
    tried = selections(route(*targets), values_of(signals(**fields)), point=0)
    assert [selection.target.model for selection in tried] == order


def test_another_process_chooses_the_same() -> None:
    split = revision({"model": "a"}, {"model": "b"})
    keys = [str(n) for n in range(64)]
    here = "".join(select(split.route, signals(), key=key).target.label for key in keys)
    program = f"""
from pointsman.contracts.parts import Signals
from pointsman.routes.asking import digest
from pointsman.routes.select import selections
from pointsman.routes.signal_schema import values_of
from pointsman.routes.source import load_route
route = load_route({split.route.model_dump_json(by_alias=True, exclude_none=True)!r}).route
values = values_of(Signals.model_validate_json({signals().model_dump_json()!r}))
for key in {keys!r}:
    print(next(selections(route, values, point=int(digest(key), 16))).target.label, end="")
"""
    there = subprocess.run(
        [sys.executable, "-c", program],
        env={"PYTHONHASHSEED": "7"},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert there.stdout.strip() == here
    assert set(here) == {"a", "b"}
