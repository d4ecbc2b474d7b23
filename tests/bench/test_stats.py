"""The figures that stand for many measurements."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgebert.bench import Latency, Rounds
from edgebert.bench.stats import CONFIDENCE, median_interval, proportion_interval, t_quantile

MILLISECONDS = st.floats(0.01, 1e5)


def test_percentiles_are_over_all_rounds_and_medians_per_round() -> None:
    latency = Latency.of([[1.0, 2.0, 3.0], [4.0, 5.0]])
    assert (latency.count, latency.p50) == (5, 3.0)
    assert (latency.p5, latency.p95, latency.p99) == pytest.approx((1.2, 4.8, 4.96))
    assert latency.round_p50 == (2.0, 4.5)
    assert latency.drift == pytest.approx(2.5 / 3)
    assert latency.samples_ms == ((1.0, 2.0, 3.0), (4.0, 5.0))


def test_rounds_keep_every_value() -> None:
    rounds = Rounds.of([3.0, 1.0, 2.0])
    assert (rounds.median, rounds.values, rounds.drift) == (2.0, (3.0, 1.0, 2.0), 1.0)


@given(st.lists(st.lists(MILLISECONDS, min_size=1, max_size=20), min_size=1, max_size=5))
def test_percentiles_are_ordered_and_within_what_was_measured(rounds: list[list[float]]) -> None:
    latency = Latency.of(rounds)
    pooled = sorted(value for values in rounds for value in values)
    middle = (latency.p25, latency.p50, latency.p75, latency.p90)
    ordered = [pooled[0], latency.p5, *middle, latency.p95, latency.p99, pooled[-1]]
    assert all(low <= high * (1 + 1e-9) for low, high in pairwise(ordered))
    assert latency.count == len(pooled)
    assert latency.drift >= 0
    interval = latency.p50_interval
    assert (interval is None) == (len(rounds) == 1)
    assert interval is None or 0 < interval.low <= latency.p50 <= interval.high


# M. Abramowitz and I. A. Stegun, "Handbook of Mathematical Functions", table 26.10.
@pytest.mark.parametrize(
    ("freedom", "value"), [(1, 12.706), (2, 4.303), (3, 3.182), (4, 2.776), (9, 2.262), (30, 2.042), (120, 1.980)]
)
def test_students_t_is_that_of_the_tables(freedom: int, value: float) -> None:
    assert t_quantile(0.975, freedom) == pytest.approx(value, abs=5e-4)


def test_the_interval_is_a_t_interval_of_the_logarithms() -> None:
    logs = [0.0, 0.1, 0.2]
    interval = median_interval(math.exp(0.1), [math.exp(value) for value in logs])
    assert interval is not None
    half = 4.302653 * 0.1 / math.sqrt(3)
    assert (interval.low, interval.high) == pytest.approx((math.exp(0.1 - half), math.exp(0.1 + half)), rel=1e-6)
    assert interval.share_of(math.exp(0.1)) == pytest.approx(math.sinh(half), rel=1e-6)


@pytest.mark.parametrize("rounds", [2, 3, 5, 10])
def test_the_interval_holds_the_median_as_often_as_it_says(rounds: int) -> None:
    # Processes differ by 3 %, the samples in one by 10 % and now and then much more: what pooling them would not see.
    rng = np.random.default_rng(rounds)
    runs = 1500
    centres = np.exp(rng.normal(0, 0.03, (runs, rounds, 1)))
    samples = 5.0 * centres * np.exp(np.abs(rng.normal(0, 0.1, (runs, rounds, 30))))
    truth = 5.0 * math.exp(0.0674490)  # the median of |normal|, 0.674490 of its deviation
    hits = 0
    for run in samples:
        interval = median_interval(float(np.median(run)), [float(np.median(one)) for one in run])
        assert interval is not None
        hits += interval.low <= truth <= interval.high
    # 1,500 runs tell a share to about 0.6 %; widening to hold the p50 and the medians' own shape make it higher.
    assert CONFIDENCE - 0.02 < hits / runs < 0.985


def test_equal_rounds_are_sure() -> None:
    interval = median_interval(2.0, [2.0, 2.0, 2.0])
    assert interval is not None
    assert (interval.low, interval.high) == pytest.approx((2.0, 2.0))


def test_a_share_of_all_or_none_has_an_interval_too() -> None:
    # R. G. Newcombe, Statistics in Medicine 17 (1998), table I, method 3.
    for hits, count, low, high in ((81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611)):
        interval = proportion_interval(hits, count)
        assert (interval.low, interval.high) == pytest.approx((low, high), abs=5e-5)
    assert proportion_interval(29, 29).high == 1.0


@given(st.integers(1, 10**6).flatmap(lambda count: st.tuples(st.integers(0, count), st.just(count))))
def test_a_share_lies_in_its_interval(seen: tuple[int, int]) -> None:
    interval = proportion_interval(*seen)
    assert 0 <= interval.low <= seen[0] / seen[1] <= interval.high <= 1
