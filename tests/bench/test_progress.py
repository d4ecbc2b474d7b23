"""How far a run is, and how long it will take."""

from __future__ import annotations

import pytest

from edgebert.bench import Step
from edgebert.bench import progress as module
from edgebert.bench.progress import Schedule, duration


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time, which the test sets."""
    now = [100.0]
    monkeypatch.setattr(module, "monotonic", lambda: now[0])
    return now


def test_the_rest_is_guessed_from_what_such_steps_took(clock: list[float]) -> None:
    steps: list[Step] = []
    schedule = Schedule(steps.append)
    schedule.begin(("round", "a"), "first", [("round", "b")])
    clock[0] += 10
    schedule.begin(("round", "b"), "second", [("round", "a"), ("other", "a")])
    clock[0] += 30
    schedule.begin(("round", "a"), "third", [("other", "a")])
    assert [step.seconds_left for step in steps] == [None, 30.0, 30.0]
    assert [step.done for step in steps] == [0.0, 10 / 40, 40 / 70]
    assert schedule.elapsed == 40
    assert [str(step) for step in steps] == ["first", "second (about 30 s left)", "third (about 30 s left)"]


def test_nobody_need_listen(clock: list[float]) -> None:
    schedule = Schedule(None)
    assert schedule.guess([("round", "a")]) is None
    schedule.begin(("round", "a"), "first", [])
    clock[0] += 5
    schedule.end()
    schedule.end()
    assert schedule.guess([("round", "a"), ("round", "b"), ("other", "c")]) == 15.0
    assert schedule.guess([]) == 0


@pytest.mark.parametrize(
    ("seconds", "said"), [(0, "1 s"), (39.2, "40 s"), (99, "99 s"), (100, "2 min"), (3601, "61 min")]
)
def test_durations_for_people(seconds: float, said: str) -> None:
    assert duration(seconds) == said
