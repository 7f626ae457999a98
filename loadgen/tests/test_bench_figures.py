import pytest

from pointsman.loadgen.bench.figures import (
    percentile,
    percentiles,
    ratios,
    spread,
    steepest_growth,
)


@pytest.mark.parametrize(
    ("values", "share", "expected"),
    [
        ((), 0.5, 0.0),
        ((7.0,), 0.99, 7.0),
        ((1.0, 2.0, 3.0, 4.0), 0.5, 2.0),
        (tuple(float(n) for n in range(1, 101)), 0.95, 95.0),
        (tuple(float(n) for n in range(1, 101)), 0.99, 99.0),
        (tuple(float(n) for n in range(1, 101)), 0.0, 1.0),
    ],
)
def test_percentile_is_the_nearest_rank(
    values: tuple[float, ...], share: float, expected: float
) -> None:
    assert percentile(values, share) == expected


def test_percentiles_do_not_need_an_order() -> None:
    assert percentiles([3.0, 1.0, 2.0]) == {"p50": 2.0, "p95": 3.0, "p99": 3.0, "max": 3.0}


def test_ratios_compare_within_a_round_alone() -> None:
    assert ratios({1: 10.0, 2: 30.0, 3: 5.0}, {1: 5.0, 2: 10.0}) == [2.0, 3.0]


def test_a_round_in_which_the_other_did_nothing_has_no_ratio() -> None:
    assert ratios({1: 10.0, 2: 30.0}, {1: 0.0, 2: 10.0}) == [3.0]


def test_spread_keeps_how_far_the_rounds_lay_apart() -> None:
    found = spread([3.0, 9.0, 4.0])
    assert found is not None
    assert found.as_json() == {"median": 4.0, "min": 3.0, "max": 9.0, "rounds": 3}
    assert spread([]) is None


@pytest.mark.parametrize(
    ("costs", "expected"),
    [
        ((4.0, 3.0, 2.0), 1.0),
        ((4.0, 2.0, 3.0), 1.5),
        ((2.0, 3.0, 1.0, 2.0), 2.0),
        ((5.0,), 1.0),
    ],
)
def test_growth_is_the_steepest_rise_and_a_fall_is_none(
    costs: tuple[float, ...], expected: float
) -> None:
    assert steepest_growth(costs) == expected
