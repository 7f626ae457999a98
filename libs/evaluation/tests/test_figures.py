"""The figures' definitions, on cases whose value is known."""

import json
from pathlib import Path

import numpy as np
import pytest

from pointsman.evaluation.figures import (
    Row,
    aurc,
    auroc,
    calibration_error,
    call_curve,
    interval,
    risk_at,
)
from pointsman.evaluation.report import write_report

WEAK = np.array([True, False, False, False])
STRONG = np.array([True, True, True, False])


def test_a_perfect_router_calls_first_where_it_helps() -> None:
    curve = call_curve(np.array([0.0, 2.0, 2.0, 0.0]), WEAK, STRONG)

    assert curve.accuracy.tolist() == [0.25, 0.75, 0.75]
    # A straight rise over the first half, then all of it: 0.5 / 2 + 0.5.
    assert curve.apgr() == pytest.approx(0.75)
    assert curve.cpt(0.5) == pytest.approx(0.25)
    assert curve.accuracy_at(0.25) == pytest.approx(0.5)


def test_the_worst_router_recovers_last() -> None:
    curve = call_curve(np.array([3.0, 0.0, 0.0, 2.0]), WEAK, STRONG)

    assert curve.apgr() == pytest.approx(0.25)
    assert curve.cpt(1.0) == pytest.approx(1.0)


def test_one_score_for_all_is_a_random_router() -> None:
    assert call_curve(np.zeros(4), WEAK, STRONG).apgr() == pytest.approx(0.5)


def test_dice_recover_half() -> None:
    random = np.random.default_rng(1)
    weak, strong = random.random(3_000) < 0.4, random.random(3_000) < 0.8
    found = [call_curve(random.random(3_000), weak, strong).apgr() for _ in range(40)]

    assert np.mean(found) == pytest.approx(0.5, abs=0.01)


def test_models_alike_have_no_gap_to_recover() -> None:
    assert np.isnan(call_curve(np.arange(4.0), WEAK, WEAK).apgr())


def test_calibration_error_weighs_bins_by_their_rows() -> None:
    truth = np.array([True, True, False, False])

    assert calibration_error(np.array([1.0, 1.0, 0.0, 0.0]), truth) == 0
    assert calibration_error(np.array([0.9, 0.9, 0.1, 0.1]), truth) == pytest.approx(0.1)
    assert calibration_error(np.full(4, 0.9), truth) == pytest.approx(0.4)


def test_auroc_counts_ties_as_half() -> None:
    truth = np.array([True, False, True, False])

    assert auroc(np.array([2.0, 1.0, 2.0, 1.0]), truth) == 1
    assert auroc(np.zeros(4), truth) == 0.5
    assert auroc(np.array([2.0, 3.0, 1.0, 0.0]), truth) == 0.5
    assert np.isnan(auroc(np.zeros(2), np.array([True, True])))


def test_risk_is_of_the_most_trusted() -> None:
    probability, truth = np.array([0.9, 0.8, 0.2, 0.1]), np.array([True, False, True, False])

    assert risk_at(probability, truth, 0.25) == 0
    assert risk_at(probability, truth, 0.5) == 0.5
    assert aurc(probability, truth) == pytest.approx((0 + 1 / 2 + 1 / 3 + 2 / 4) / 4)


def test_an_interval_is_the_same_each_time_and_holds_the_mean() -> None:
    values = np.random.default_rng(0).normal(5, 1, 500)

    low, high = interval(lambda rows: float(values[rows].mean()), 500)

    assert low < values.mean() < high
    assert high - low == pytest.approx(4 / 500**0.5, rel=0.2)
    assert (low, high) == interval(lambda rows: float(values[rows].mean()), 500)


@pytest.mark.parametrize(
    ("value", "better", "verdict"),
    [
        (0.70, "higher", "goal"),
        (0.72, "higher", "moonshot"),
        (0.60, "higher", "missed by 0.05"),
        (float("nan"), "higher", "not measured"),
        (0.70, "lower", "missed by 0.05"),
        (0.65, "lower", "goal"),
    ],
)
def test_a_verdict_compares_with_goal_and_moonshot(value: float, better: str, verdict: str) -> None:
    moonshot = 0.72 if better == "higher" else 0.6
    row = Row(name="x", value=value, goal=0.65, moonshot=moonshot, better=better)  # pyright: ignore[reportArgumentType] (a table of cases)

    assert row.verdict == verdict


def test_json_holds_the_verdict_and_no_nan(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "out.json"

    write_report(path, {"one": [Row(name="x", value=float("nan"), goal=1.0)]}, notes=["said"])

    found = json.loads(path.read_text())
    assert found["notes"] == ["said"]
    assert found["sections"]["one"][0]["verdict"] == "not measured"
    assert found["sections"]["one"][0]["value"] is None
