"""Shows how far a benchmark is."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterator
from typing import TextIO

from edgebert.bench.progress import Step, duration
from edgebert.cli.live_line import LiveLine

_REFRESH_S = 1.0
"""Seldom: whatever this process does while another is measured is in the figures."""
_BAR = 24


class BenchProgress:
    """A live bar on a terminal, with the time left; elsewhere a line for each step."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._now = Step("starting", 0.0, None), time.monotonic()
        self._line = LiveLine(stream, self._text, every=_REFRESH_S)

    def step(self, step: Step) -> None:
        """A step begins."""
        self._now = step, time.monotonic()
        if self._line.live:
            self._line.draw()
        else:
            self._stream.write(f"{step}\n")
            self._stream.flush()

    def close(self) -> None:
        """Clears the live line."""
        self._line.close()

    def _text(self) -> str:
        step, since = self._now
        done, left = step.done, step.seconds_left
        if left is not None:
            passed = min(time.monotonic() - since, left)
            done += (1 - done) * passed / left
            left -= passed
        full = int(done * _BAR)
        rest = "" if left is None else f", about {duration(left)} left"
        return f"[{'#' * full}{'.' * (_BAR - full)}] {done:3.0%}  {step.text}{rest}"


@contextlib.contextmanager
def bench_progress(*, hidden: bool) -> Iterator[BenchProgress | None]:
    """Progress on standard error; none where it is hidden."""
    if hidden:
        yield None
        return
    shown = BenchProgress(sys.stderr)
    try:
        yield shown
    finally:
        shown.close()
