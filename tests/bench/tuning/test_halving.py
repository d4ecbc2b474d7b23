"""How a time budget is divided."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgebert.bench.tuning.halving import Cost, Rung, Score, order, plan_rung, rung_sizes

COSTS = st.lists(st.builds(Cost, st.floats(0, 10), st.floats(1e-4, 2)), min_size=1, max_size=9)


@pytest.mark.parametrize(
    ("count", "sizes"), [(0, []), (1, []), (2, [2]), (3, [2]), (4, [2]), (5, [3, 2]), (17, [9, 5, 3, 2])]
)
def test_halves_go_on_down_to_two_which_meet_once_more(count: int, sizes: list[int]) -> None:
    assert rung_sizes(count) == sizes


@given(COSTS, st.floats(0.1, 1000), st.integers(1, 4), st.integers(1, 20), st.integers(0, 300))
def test_a_rung_fits_into_its_time(costs: list[Cost], seconds: float, number: int, least: int, more: int) -> None:
    rung = plan_rung(costs, seconds, number=number, least=least, most=least + more)
    startup, text = sum(cost.startup for cost in costs), sum(cost.text for cost in costs)
    if rung is None:
        assert startup + least * text > seconds * (1 - 1e-9)
        return
    assert rung.rounds * (startup + rung.texts * text) <= seconds * (1 + 1e-9)
    assert least <= rung.texts <= least + more


def test_processes_come_before_texts_and_more_of_both_with_more_time() -> None:
    costs = [Cost(0.5, 0.01)] * 2
    plans = [plan_rung(costs, seconds, number=2, least=10, most=100) for seconds in (1.0, 1.3, 3.0, 4.5, 6.0, 100.0)]
    assert plans == [None, Rung(1, 15), Rung(2, 25), Rung(3, 25), Rung(3, 50), Rung(5, 100)]


def test_peaks_of_memory_that_are_alike_are_ordered_by_speed() -> None:
    scores = [Score(100, 9), Score(101, 3), Score(101.9, 5), Score(102.5, 1), Score(200, 1), Score(104, 8)]
    assert order(scores, by_memory=False) == [0, 1, 2, 3, 5, 4]
    assert order(scores, by_memory=True) == [1, 2, 0, 3, 5, 4]
