"""Test the times that a hedge learns from."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rxagents import ConfigurationError, Latencies


def of(times: list[float], **options: int) -> Latencies:
    latencies = Latencies(**options)
    for time in times:
        latencies.add(time)
    return latencies


def test_too_few_times_give_no_quantile() -> None:
    latencies = of([1.0] * 19)
    assert latencies.quantile(0.5) is None
    latencies.add(1.0)
    assert latencies.quantile(0.5) == 1.0
    assert len(latencies) == 20


def test_old_times_are_dropped() -> None:
    latencies = of([100.0] * 5 + [1.0] * 3, size=4, least=1)
    assert len(latencies) == 4
    assert latencies.quantile(0.75) == 1.0
    assert latencies.quantile(1) == 100.0
    latencies.add(1.0)
    assert latencies.quantile(1) == 1.0


@given(times=st.lists(st.floats(0, 1e6), min_size=1, max_size=60), q=st.floats(0.001, 1))
def test_quantile_is_the_nearest_rank(times: list[float], q: float) -> None:
    found = of(times, least=1).quantile(q)
    rank = math.ceil(round(q * len(times), 9))
    assert found == sorted(times)[rank - 1]


def test_exact_ranks_are_not_rounded_up() -> None:
    assert of([float(n) for n in range(1, 21)]).quantile(0.95) == 19.0
    assert of([float(n) for n in range(1, 101)]).quantile(0.07) == 7.0


def test_stopped_times_count_for_longer_ones() -> None:
    latencies = of([1.0, 2.0, 4.0, 5.0], least=1)
    latencies.add(3.0, is_stopped=True)
    # Two of five are above 2; each of them stands for one and a half of the three that are not.
    assert latencies.quantile(0.4) == 2.0
    assert latencies.quantile(0.41) == 4.0
    assert latencies.quantile(0.7) == 4.0
    assert latencies.quantile(0.71) == 5.0
    latencies.add(6.0, is_stopped=True)
    assert latencies.quantile(1) is None


def test_estimate_is_near_the_true_quantile() -> None:
    chance = random.Random(3)
    latencies = of([chance.expovariate(1) for _ in range(5000)], size=5000)
    assert latencies.quantile(0.95) == pytest.approx(-math.log(0.05), rel=0.05)


@pytest.mark.parametrize(
    "options", [{"size": 0}, {"least": 0}, {"size": 5, "least": 6}, {"size": 1.5}]
)
def test_wrong_sizes_are_refused(options: dict[str, int]) -> None:
    with pytest.raises(ConfigurationError, match=r"size|least"):
        Latencies(**options)


def test_wrong_times_and_quantiles_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="seconds must be"):
        Latencies().add(-1)
    for q in (0, 1.1, -1, math.nan):
        with pytest.raises(ConfigurationError, match="q must be"):
            Latencies().quantile(q)
