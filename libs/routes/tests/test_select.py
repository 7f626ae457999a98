"""Which target takes a request."""

import subprocess
import sys
from collections import Counter
from typing import Any

import pytest

from pointsman.routes.select import select

from .route_values import revision, route, signals

SIMPLE = {"model": "a", "weight": 70, "condition": "intent == simple"}
COMPLEX = {"model": "b", "weight": 30, "condition": "intent == complex"}
HIGH = {"model": "c", "condition": "urgency == high"}


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


def test_another_process_chooses_the_same() -> None:
    split = revision({"model": "a"}, {"model": "b"})
    keys = [str(n) for n in range(64)]
    here = "".join(select(split.route, signals(), key=key).target.model for key in keys)
    program = f"""
from pointsman.contracts.parts import Signals
from pointsman.routes.select import select
from pointsman.routes.source import load_route
route = load_route({split.route.model_dump_json(by_alias=True, exclude_none=True)!r}).route
signals = Signals.model_validate_json({signals().model_dump_json()!r})
print("".join(select(route, signals, key=key).target.model for key in {keys!r}))
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
