"""Which points no other one beats."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from edgebert.compress.search.pareto import frontier

POINTS = st.dictionaries(st.text("abcdefgh", min_size=1), st.tuples(st.integers(0, 5), st.integers(0, 5)), max_size=12)


def beats(one: tuple[float, float], other: tuple[float, float]) -> bool:
    return one != other and one[0] <= other[0] and one[1] >= other[1]


@given(POINTS)
def test_exactly_those_that_none_beats(points: dict[str, tuple[float, float]]) -> None:
    kept = frontier(points)
    assert set(kept) == {
        name for name, point in points.items() if not any(beats(other, point) for other in points.values())
    }
    assert [points[name][0] for name in kept] == sorted(points[name][0] for name in kept)


def test_a_larger_one_that_is_no_better_is_beaten() -> None:
    assert frontier({"whole": (67, 0.891), "half": (32, 0.889), "trimmed": (53, 0.889)}) == ["half", "whole"]
