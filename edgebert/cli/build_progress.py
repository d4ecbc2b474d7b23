"""Shows how far the build of a plan is."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterator
from typing import TextIO

from edgebert.cli.live_line import LiveLine
from edgebert.runtime.plans.job import BuildStep

_REFRESH_S = 0.5


class BuildProgress:
    """A live line on a terminal, with the time, since TensorRT 8.6 tells nothing; elsewhere a line for each phase."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._started = time.monotonic()
        self._text = "starting"
        self._outermost = ""
        self._line = LiveLine(stream, lambda: f"[{self._seconds():5.0f} s] building: {self._text}", every=_REFRESH_S)

    def step(self, step: BuildStep) -> None:
        """TensorRT has come further."""
        self._text = f"{step.phase} {step.done}/{step.total}"
        if not step.parent and step.phase != self._outermost:
            self._outermost = step.phase
            if not self._line.live:
                self._stream.write(f"[{self._seconds():5.0f} s] {step.phase}\n")

    def close(self) -> None:
        """Clears the live line."""
        self._line.close()

    def _seconds(self) -> float:
        return time.monotonic() - self._started


@contextlib.contextmanager
def build_progress(*, hidden: bool) -> Iterator[BuildProgress | None]:
    """A display on standard error that is cleared when the block is left; ``None`` when it is hidden."""
    if hidden:
        yield None
        return
    shown = BuildProgress(sys.stderr)
    try:
        yield shown
    finally:
        shown.close()
