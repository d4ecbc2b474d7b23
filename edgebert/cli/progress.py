"""Shows a conversion's progress on standard error: a live line on a terminal, one line per stage elsewhere."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Iterator
from typing import TextIO

from rich.console import Console
from rich.status import Status

_STAGES = {
    "libraries": "loading the conversion libraries",
    "checkpoint": "reading the checkpoint",
    "graph": "building the graph, checking it against transformers",
    "export": "exporting",
    "measure": "measuring",
    "write": "writing the bundle, running it once",
}


class ShownProgress:
    """Prints stages as they begin, and what became of each artifact."""

    def __init__(self, stream: TextIO) -> None:
        self._console = Console(file=stream, highlight=False)
        self._status = Status("", console=self._console) if self._console.is_terminal else None
        self._started = time.monotonic()
        if self._status:
            self._status.start()

    def stage(self, name: str, artifact: str | None = None) -> None:
        """A stage begins."""
        text = f"{artifact}: {_STAGES[name]}" if artifact else _STAGES[name]
        line = f"[{time.monotonic() - self._started:5.0f} s] {text}"
        if self._status:
            self._status.update(line, spinner="line")
        else:
            self._console.print(line, markup=False)

    def finished(self, artifact: str, status: str) -> None:
        """An artifact is done."""
        self._console.print(f"[{time.monotonic() - self._started:5.0f} s] {artifact}: {status}", markup=False)

    def close(self) -> None:
        """Clear the live line."""
        if self._status:
            self._status.stop()


class HiddenProgress:
    """Prints nothing."""

    def stage(self, name: str, artifact: str | None = None) -> None:
        """Ignored."""

    def finished(self, artifact: str, status: str) -> None:
        """Ignored."""

    def close(self) -> None:
        """Nothing to clear."""


@contextlib.contextmanager
def own_stderr() -> Iterator[TextIO]:
    """A copy of standard error: libraries that print are silenced by redirecting the original."""
    sys.stderr.flush()
    with os.fdopen(os.dup(2), "w") as stream:
        yield stream


@contextlib.contextmanager
def progress(*, hidden: bool) -> Iterator[ShownProgress | HiddenProgress]:
    """A progress display that is cleared when the block is left."""
    if hidden:
        yield HiddenProgress()
        return
    with own_stderr() as stream:
        shown = ShownProgress(stream)
        try:
            yield shown
        finally:
            shown.close()
