"""What fits into the time."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgebert.compress.search.budget import Budget, Training, minutes, plan_trainings, whole_training

SECONDS = st.floats(0.001, 1000)
TRAININGS = st.lists(st.tuples(SECONDS, SECONDS), max_size=6).map(
    lambda several: [Training(str(number), *one) for number, one in enumerate(several)]
)
STEPS = st.tuples(st.integers(1, 5000), st.integers(1, 4)).map(lambda pair: (pair[0] * pair[1], pair[0]))


@given(TRAININGS, st.floats(-100, 1e6), STEPS)
def test_a_plan_fits(trainings: list[Training], left: float, steps: tuple[int, int]) -> None:
    whole, least = steps
    plan = plan_trainings(trainings, left, whole=whole, least=least)
    planned = [training for training in trainings if training.name in plan]
    assert list(plan) == [training.name for training in planned]
    assert all(least <= count <= whole for count in plan.values())
    assert len(set(plan.values())) <= 1  # so that points can be compared
    if planned:
        assert sum(training.seconds(plan[training.name]) for training in planned) <= left * (1 + 1e-9)


@given(TRAININGS, st.floats(0, 1e6), STEPS)
def test_nothing_that_fits_is_left_out(trainings: list[Training], left: float, steps: tuple[int, int]) -> None:
    whole, least = steps
    plan = plan_trainings(trainings, left, whole=whole, least=least)
    needed = sum(training.seconds(least) for training in trainings if training.name in plan)
    for training in trainings:
        assert training.name in plan or needed + training.seconds(least) > left
    if plan and next(iter(plan.values())) < whole:
        chosen = [training for training in trainings if training.name in plan]
        more = max(plan.values()) + 1
        assert sum(training.seconds(more) for training in chosen) > left * (1 - 1e-9)


def test_a_whole_training_is_a_pass_and_no_less_than_500_steps() -> None:
    assert whole_training(67_349) == (2105, 526)
    assert whole_training(32 * 600 + 1) == (601, 150)
    assert whole_training(10) == (500, 125)


def test_the_time_of_earlier_runs_counts() -> None:
    now = [100.0]
    budget = Budget(60, 25, clock=lambda: now[0])
    now[0] = 130.0
    assert (budget.spent, budget.left) == (55, 5)


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "1 s"), (0.2, "1 s"), (99, "99 s"), (100, "2 min"), (121, "3 min"), (7200, "120 min")]
)
def test_minutes(seconds: float, text: str) -> None:
    assert minutes(seconds) == text
