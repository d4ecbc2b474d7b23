"""What fits into the time: pure functions of measured times, and the clock that they are asked with."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

ROUNDS = 3
"""How often the latency of every point is measured."""

BATCH_SIZE = 32
"""Examples of a training step: the default of ``edgebert distill``."""

_MANY_STEPS = 500
"""Steps of a whole training where one pass over the data has fewer."""

_LEAST_SHARE = 4
"""A training shorter than a whole one divided by this is not begun."""

_MARGIN = 1.1
"""Trainings take so many times what was measured, to be on the safe side."""


@dataclass(frozen=True, slots=True)
class Training:
    """What a training would take, in seconds.

    Attributes:
        name: the point's.
        fixed: whatever the number of steps: loading, reading the data, converting, measuring the latency.
        step: a step.
    """

    name: str
    fixed: float
    step: float

    def seconds(self, steps: int) -> float:
        """What so many steps take, with the margin."""
        return self.fixed + _MARGIN * self.step * steps


class Budget:
    """The time that a search may take, and has taken, over all its runs.

    Args:
        total: seconds in all.
        spent: seconds that earlier runs have taken.
        clock: seconds that only grow.
    """

    def __init__(self, total: float, spent: float = 0.0, clock: Callable[[], float] = time.monotonic) -> None:
        self.total = total
        self._before = spent
        self._clock = clock
        self._began = clock()

    @property
    def spent(self) -> float:
        """Seconds so far."""
        return self._before + self._clock() - self._began

    @property
    def left(self) -> float:
        """Seconds that are left; negative when it is over."""
        return self.total - self.spent


def whole_training(examples: int) -> tuple[int, int]:
    """The steps of a whole training on so many examples (a pass, or 500 steps), and the fewest that are worth it."""
    steps = max(-(-examples // BATCH_SIZE), _MANY_STEPS)
    return steps, steps // _LEAST_SHARE


def plan_trainings(trainings: Sequence[Training], left: float, *, whole: int, least: int) -> dict[str, int]:
    """Which trainings fit, and how many steps each gets: the same number for all, so that they can be compared.

    Taken are those that fit with ``least`` steps beside the ones before them; then all get what is left, up to a
    ``whole`` training.

    Args:
        trainings: the most wanted first.
        left: seconds for all of them.
        whole: the most steps.
        least: the fewest, at least 1 and at most ``whole``.

    Returns:
        The steps by the name of the training, in their order; what does not fit is not in it.
    """
    taken: list[Training] = []
    needed = 0.0
    for training in trainings:
        seconds = training.seconds(least)
        if needed + seconds <= left:
            taken.append(training)
            needed += seconds
    if not taken:
        return {}
    each = sum(training.seconds(1) - training.fixed for training in taken)
    steps = whole if each <= 0 else min(whole, int((left - sum(one.fixed for one in taken)) / each))
    return dict.fromkeys((training.name for training in taken), max(least, steps))


def minutes(seconds: float) -> str:
    """Seconds for people: ``40 s``, ``3 min``; rounded up."""
    whole = max(1, -int(-seconds // 1))
    return f"{whole} s" if whole < 100 else f"{-(-whole // 60)} min"
