"""How far a benchmark is, and how long it will likely take."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import monotonic

Task = tuple[str, str]
"""What is done, and with which artifact: ``("round", "onnx-fp32")``."""


@dataclass(frozen=True, slots=True)
class Step:
    """What a benchmark begins with now.

    Attributes:
        text: what it is, such as ``"round 1 of 3: onnx-fp32"``.
        done: the share of the time that is behind it, in [0, 1); 0 while nobody can tell.
        seconds_left: how long everything will likely take from here; ``None`` while nobody can tell.
    """

    text: str
    done: float
    seconds_left: float | None

    def __str__(self) -> str:
        return self.text if self.seconds_left is None else f"{self.text} (about {duration(self.seconds_left)} left)"


class Schedule:
    """Tells the steps of a run, and guesses the rest from how long such steps took so far.

    Args:
        tell: called with each step as it begins; ``None`` for nobody.
    """

    def __init__(self, tell: Callable[[Step], None] | None) -> None:
        self._tell = tell
        self._took: dict[Task, list[float]] = {}
        self._began = monotonic()
        self._step: tuple[Task, float] | None = None

    @property
    def elapsed(self) -> float:
        """Seconds since the run began."""
        return monotonic() - self._began

    def begin(self, task: Task, text: str, rest: Sequence[Task]) -> None:
        """A step begins, and the one before it has ended.

        Args:
            task: what it is.
            text: the same for people.
            rest: what follows it.
        """
        self.end()
        self._step = task, monotonic()
        if self._tell is not None:
            left = self.guess([task, *rest])
            done = 0.0 if left is None else self.elapsed / (self.elapsed + left)
            self._tell(Step(text, done, left))

    def end(self) -> None:
        """The step has ended."""
        if self._step is not None:
            task, began = self._step
            self._took.setdefault(task, []).append(monotonic() - began)
            self._step = None

    def guess(self, tasks: Sequence[Task]) -> float | None:
        """Seconds that these take: each as it did before, else as the like of other artifacts, else as anything did.

        Returns:
            ``None`` while nothing has been done yet.
        """
        if not self._took:
            return None
        known = {task: sum(took) / len(took) for task, took in self._took.items()}
        total = 0.0
        for task in tasks:
            alike = [seconds for (kind, _), seconds in known.items() if kind == task[0]] or list(known.values())
            total += known.get(task, sum(alike) / len(alike))
        return total


def duration(seconds: float) -> str:
    """Seconds for people: ``40 s``, ``3 min``; rounded up."""
    whole = max(1, -int(-seconds // 1))
    return f"{whole} s" if whole < 100 else f"{-(-whole // 60)} min"
