"""What a terminal, and a log file, show of a build."""

from __future__ import annotations

import io
import time

from edgebert.cli.build_progress import BuildProgress
from edgebert.runtime.plans.job import BuildStep


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def until(shown: Terminal, text: str) -> bool:
    deadline = time.monotonic() + 10
    while text not in shown.getvalue() and time.monotonic() < deadline:
        time.sleep(0.02)
    return text in shown.getvalue()


def test_a_terminal_has_one_live_line_that_is_cleared() -> None:
    shown = Terminal()
    progress = BuildProgress(shown)
    try:
        assert until(shown, "building: starting")  # all that TensorRT 8.6 lets one say
        progress.step(BuildStep("Building engine", "", 1, 6))
        assert until(shown, "building: Building engine 1/6")
        progress.step(BuildStep("Timing kernels", "Building engine", 3, 500))
        assert until(shown, "building: Timing kernels 3/500")
    finally:
        progress.close()
    assert "\n" not in shown.getvalue()
    assert shown.getvalue().endswith("\r\x1b[K")


def test_a_file_has_a_line_for_each_outermost_phase() -> None:
    shown = io.StringIO()
    progress = BuildProgress(shown)
    for phase, parent in (("Building engine", ""), ("Timing", "Building engine"), ("Building engine", ""), ("End", "")):
        progress.step(BuildStep(phase, parent, 0, 3))
    progress.close()
    assert [line[10:] for line in shown.getvalue().splitlines()] == ["Building engine", "End"]
