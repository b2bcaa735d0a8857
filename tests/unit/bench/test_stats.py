"""The helpers that turn samples into what the benchmarks print."""

import math

import pytest
from bench.stats import log_histogram, per_hour, quantile, ratio, spread
from hypothesis import given
from hypothesis import strategies as st

samples = st.lists(st.floats(1e-6, 10.0), min_size=1, max_size=300)


@pytest.mark.parametrize(
    ("share", "expected"), [(0.0, 1.0), (0.5, 5.0), (0.51, 6.0), (0.9, 9.0), (0.91, 10.0), (1.0, 10.0)]
)
def test_a_quantile_is_the_nearest_rank(share: float, expected: float) -> None:
    assert quantile([float(value) for value in range(1, 11)], share) == expected


@given(samples, st.floats(0.0, 1.0))
def test_a_quantile_was_measured_and_has_its_share_below_it(values: list[float], share: float) -> None:
    found = quantile(sorted(values), share)
    assert found in values
    assert sum(value <= found for value in values) >= math.floor(share * len(values))


def test_an_empty_sample_says_nothing() -> None:
    assert spread([]) is None


@pytest.mark.parametrize(
    ("count", "has_p99", "has_p999"),
    [(1, False, False), (99, False, False), (100, True, False), (999, True, False), (1000, True, True)],
)
def test_no_quantile_is_told_that_the_sample_does_not_hold(count: int, has_p99: bool, has_p999: bool) -> None:
    found = spread([float(value) for value in range(count)])
    assert found is not None
    assert (found.count, found.largest) == (count, count - 1.0)
    assert ((found.p99 is not None), (found.p999 is not None)) == (has_p99, has_p999)


@given(samples)
def test_a_spread_is_ordered(values: list[float]) -> None:
    found = spread(values)
    assert found is not None
    known = [value for value in (found.median, found.p99, found.p999, found.largest) if value is not None]
    assert known == sorted(known)
    assert found.largest == max(values)


@pytest.mark.parametrize(
    ("value", "base", "expected"), [(3.0, 2.0, 1.5), (None, 2.0, None), (3.0, None, None), (3.0, 0.0, None)]
)
def test_a_ratio_needs_both_sides(value: float | None, base: float | None, expected: float | None) -> None:
    assert ratio(value, base) == expected


def test_a_histogram_counts_in_decades() -> None:
    assert log_histogram([0.002, 0.003, 0.02, 0.5], 0.001, 1.0, 3) == [2, 1, 1]


@given(samples)
def test_a_histogram_loses_nothing(values: list[float]) -> None:
    assert sum(log_histogram(values, 1e-4, 1e-1, 7)) == len(values)


def test_what_was_written_is_extrapolated_to_an_hour() -> None:
    assert per_hour(2.0, 60.0) == 120.0
