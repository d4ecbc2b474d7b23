"""The figures that stand for many measurements."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgebert.bench import Latency, Rounds

MILLISECONDS = st.floats(0.01, 1e5)


def test_percentiles_are_over_all_rounds_and_medians_per_round() -> None:
    latency = Latency.of([[1.0, 2.0, 3.0], [4.0, 5.0]])
    assert (latency.count, latency.p50) == (5, 3.0)
    assert (latency.p5, latency.p95, latency.p99) == pytest.approx((1.2, 4.8, 4.96))
    assert latency.round_p50 == (2.0, 4.5)
    assert latency.drift == pytest.approx(2.5 / 3)


def test_rounds_keep_every_value() -> None:
    rounds = Rounds.of([3.0, 1.0, 2.0])
    assert (rounds.median, rounds.values, rounds.drift) == (2.0, (3.0, 1.0, 2.0), 1.0)


@given(st.lists(st.lists(MILLISECONDS, min_size=1, max_size=20), min_size=1, max_size=5))
def test_percentiles_are_ordered_and_within_what_was_measured(rounds: list[list[float]]) -> None:
    latency = Latency.of(rounds)
    pooled = sorted(value for values in rounds for value in values)
    ordered = [pooled[0], latency.p5, latency.p50, latency.p95, latency.p99, pooled[-1]]
    assert all(low <= high * (1 + 1e-9) for low, high in pairwise(ordered))
    assert latency.count == len(pooled)
    assert latency.drift >= 0
