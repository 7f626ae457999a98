"""Verdicts and the report, from points made by hand."""

import json
from typing import Any

import pytest

from pointsman.loadgen.bench.figures import spread
from pointsman.loadgen.bench.machine import machine
from pointsman.loadgen.bench.plan import FULL, QUICK
from pointsman.loadgen.bench.points import Point
from pointsman.loadgen.bench.report import WIDTH, document, render
from pointsman.loadgen.bench.session import Outcome
from pointsman.loadgen.bench.verdicts import GOALS, Evidence, Verdict, verdicts

CLOSED = (
    ("plumbing", "litellm", 60.0, 1000.0),
    ("plumbing", "bare", 1500.0, 40.0),
    ("plumbing", "fused", 420.0, 150.0),
    ("plumbing", "seven", 600.0, 100.0),
    ("all stages", "litellm", 50.0, 1200.0),
    ("all stages", "fused", 300.0, 200.0),
)


def point(contender: str, **given: Any) -> Point:
    """A clean point of the plumbing case at c=64; ``given`` replaces what matters."""
    p50 = given.pop("p50", 10.0)
    fields: dict[str, Any] = {
        "section": "closed",
        "case": "plumbing",
        "contender": contender,
        "load": "c=64",
        "round": 1,
        "concurrency": 64,
        "asked_rate": 0.0,
        "completed": 100,
        "rate": 100.0,
        "latency_ms": {"p50": p50, "p95": p50 * 2, "p99": p50 * 3, "max": p50 * 4},
        "cpu_ms": 2.0,
        "nats_cpu_ms": 0.5,
        "peak_rss_mb": 300.0,
        "errors": {},
        "upstream_calls": 1.0,
    }
    return Point(**{**fields, **given})


def whole_run() -> Outcome:
    points = [
        point(name, case=case, rate=rate * number, p50=p50, round=number)
        for number in (1, 2, 3)
        for case, name, rate, p50 in CLOSED
    ]
    points += [
        point(name, case="all stages", load="c=1", concurrency=1, p50=p50)
        for name, p50 in (("direct", 1.0), ("litellm", 21.0), ("fused", 9.0))
    ]
    points += [
        point(
            name,
            section="stream",
            case="stream",
            load="c=1",
            first_token_ms={"p50": first, "p95": first, "p99": first},
            token_delay_ms={"p50": 0.2, "p99": 0.4},
        )
        for name, first in (("direct", 10.5), ("fused", 14.5))
    ]
    points += [
        point(
            "fused",
            section="growth",
            case="concurrency",
            load=f"c={concurrency}",
            concurrency=concurrency,
            cpu_ms=cpu_ms,
        )
        for concurrency, cpu_ms in ((1, 4.0), (1000, 2.6), (10, 2.0))
    ]
    points.append(
        point("litellm", section="open", case="open at 90%", load="45/s", asked_rate=45.0)
    )
    return Outcome(
        points=points,
        starts=[{"ready_s": 2.5}, {"ready_s": 2.9}],
        facts={"fused": {"idle_rss_mb": 400.0, "ready_s": 2.5, "idle_cpu_share_of_a_core": 0.01}},
    )


def of(outcome: Outcome) -> dict[str, Verdict]:
    evidence = Evidence(
        points=outcome.points,
        starts_s=[start["ready_s"] for start in outcome.starts],
        idle_rss_mb=[outcome.facts["fused"]["idle_rss_mb"]],
    )
    return {verdict.goal.what: verdict for verdict in verdicts(evidence)}


def test_every_goal_is_measured_from_a_whole_run() -> None:
    found = list(of(whole_run()).values())
    medians = [round(verdict.measured.median, 3) for verdict in found if verdict.measured]
    assert medians == [7.0, 6.0, 0.4, 0.4, 4.0, 1.3, 400.0, 2.7]
    assert [verdict.text for verdict in found] == [
        "goal",
        "moonshot",
        "goal",
        "goal",
        "moonshot",
        "goal",
        "goal",
        "moonshot",
    ]


def test_nothing_measured_is_said_so() -> None:
    assert {verdict.text for verdict in verdicts(Evidence(points=()))} == {"not measured"}


@pytest.mark.parametrize(
    ("row", "value", "expected"),
    [
        (0, 12.0, "moonshot"),
        (0, 5.0, "goal"),
        (0, 2.5, "missed by 2.00x"),
        (0, 0.0, "missed: nothing was done"),
        (2, 0.35, "moonshot"),
        (2, 0.6, "goal"),
        (2, 1.2, "missed by 2.00x"),
        (2, -0.1, "moonshot"),
    ],
)
def test_a_verdict_is_the_best_that_the_median_reaches(
    row: int, value: float, expected: str
) -> None:
    assert Verdict(goal=GOALS[row], measured=spread([value])).text == expected


def test_the_table_fits_and_holds_every_goal() -> None:
    table = render(whole_run(), plan=FULL, machine=machine(), prompts=("Distinct prompts: none",))
    assert max(len(line) for line in table.splitlines()) <= WIDTH
    for goal in GOALS:
        assert goal.what in table
    assert "plumbing, c=64: requests/s, fused / litellm" in table


def test_answers_that_were_not_200_are_told_beside_their_row() -> None:
    outcome = Outcome(points=[point("fused", errors={"429": 7})])
    table = render(outcome, plan=QUICK, machine=machine(), prompts=())
    assert "NOT ALL ANSWERED 200: 7 (429)" in table


def test_escalations_tools_and_further_upstream_calls_are_told() -> None:
    outcome = Outcome(points=[point("fused", escalated=3, tool_share=0.05, upstream_calls=1.03)])
    table = render(outcome, plan=QUICK, machine=machine(), prompts=())
    assert "escalated 3.0%" in table
    assert "bound tools 5.0%" in table
    assert "1.03 upstream calls a request" in table


def test_the_document_is_json_and_declares_the_simulation() -> None:
    outcome = whole_run()
    outcome.failures.append("bare: gone")
    told = json.loads(
        json.dumps(document(outcome, plan=FULL, machine=machine(), prompts={}, seconds=1.0))
    )
    assert told["is_simulated"] is True
    assert len(told["points"]) == len(outcome.points)
    assert len(told["verdicts"]) == len(GOALS)
    assert told["failures"] == ["bare: gone"]
    ratio = next(
        row for row in told["ratios"] if row["what"] == "plumbing, c=64: CPU, seven / bare"
    )
    assert ratio["rounds"] == 3
