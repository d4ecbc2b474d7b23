"""Shows a distillation's progress on standard error: a bar with the time left on a terminal, lines elsewhere."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Mapping
from typing import TextIO

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from edgebert.cli.progress import own_stderr


class ShownDistillation:
    """A line for each stage, and a bar, or a line now and then, for the steps."""

    def __init__(self, stream: TextIO) -> None:
        self._console = Console(file=stream, highlight=False)
        self._started = time.monotonic()
        self._bar: Progress | None = None
        self._first: tuple[int, float] | None = None

    def stage(self, text: str) -> None:
        """A stage begins."""
        self.close()
        self._first = None
        self._line(text)

    def step(self, done: int, total: int, losses: Mapping[str, float]) -> None:
        """So many steps are done."""
        shown = ", ".join(f"{name} {value:.4f}" for name, value in losses.items())
        if self._console.is_terminal:
            self._advance(done, total, shown)
            return
        now = time.monotonic()
        if self._first is None:
            self._first = (done, now)
        if losses:
            first, began = self._first
            left = f", {(now - began) / (done - first) * (total - done):.0f} s left" if done > first else ""
            self._line(f"step {done}/{total}: {shown}{left}")

    def close(self) -> None:
        """Clears the bar."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def _advance(self, done: int, total: int, shown: str) -> None:
        if self._bar is None:
            columns = (
                BarColumn(),
                MofNCompleteColumn(),
                TimeElapsedColumn(),
                TextColumn("left:"),
                TimeRemainingColumn(),
                TextColumn("{task.fields[losses]}", markup=False),
            )
            self._bar = Progress(*columns, console=self._console, transient=True)
            self._bar.add_task("", total=total, completed=done, losses="")
            self._bar.start()
        task = self._bar.tasks[0]
        self._bar.update(task.id, completed=done, losses=shown or task.fields["losses"])

    def _line(self, text: str) -> None:
        self._console.print(f"[{time.monotonic() - self._started:5.0f} s] {text}", markup=False, soft_wrap=True)


@contextlib.contextmanager
def distill_progress(*, hidden: bool) -> Iterator[ShownDistillation | None]:
    """A display that is cleared when the block is left; ``None`` when it is hidden."""
    if hidden:
        yield None
        return
    with own_stderr() as stream:
        shown = ShownDistillation(stream)
        try:
            yield shown
        finally:
            shown.close()
