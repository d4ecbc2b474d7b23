"""Shows how far a benchmark is, with nothing but the standard library: a device has no more."""

from __future__ import annotations

import contextlib
import shutil
import sys
import threading
import time
from collections.abc import Iterator
from typing import TextIO

from edgebert.bench.progress import Step, duration

_REFRESH_S = 1.0
"""Seldom: whatever this process does while another is measured is in the figures."""
_BAR = 24


class BenchProgress:
    """A live bar on a terminal, with the time left; elsewhere a line for each step."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._live = stream.isatty()
        self._now = Step("starting", 0.0, None), time.monotonic()
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._refresh, daemon=True)
        if self._live:
            self._thread.start()

    def step(self, step: Step) -> None:
        """A step begins."""
        self._now = step, time.monotonic()
        if self._live:
            self._draw()
        else:
            self._stream.write(f"{step}\n")
            self._stream.flush()

    def close(self) -> None:
        """Clears the live line."""
        self._end.set()
        if self._live:
            self._thread.join()
            self._stream.write("\r\x1b[K")
            self._stream.flush()

    def _refresh(self) -> None:
        while not self._end.wait(_REFRESH_S):
            self._draw()

    def _draw(self) -> None:
        step, since = self._now
        done, left = step.done, step.seconds_left
        if left is not None:
            passed = min(time.monotonic() - since, left)
            done += (1 - done) * passed / left
            left -= passed
        full = int(done * _BAR)
        rest = "" if left is None else f", about {duration(left)} left"
        line = f"[{'#' * full}{'.' * (_BAR - full)}] {done:3.0%}  {step.text}{rest}"
        self._stream.write(f"\r\x1b[K{line[: shutil.get_terminal_size().columns - 1]}")
        self._stream.flush()


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
