"""One line of a terminal that is drawn again and again, with the standard library alone: a device has no more."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable
from typing import TextIO


class LiveLine:
    """A line that changes by itself until it is cleared; where the stream is no terminal, nothing is drawn.

    Args:
        stream: where it is drawn.
        text: what it says now; called from a thread of this object, from now on.
        every: seconds between two drawings.

    Attributes:
        live: whether the stream is a terminal.
    """

    def __init__(self, stream: TextIO, text: Callable[[], str], *, every: float) -> None:
        self.live = stream.isatty()
        self._stream = stream
        self._text = text
        self._every = every
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._refresh, daemon=True)
        if self.live:
            self._thread.start()

    def draw(self) -> None:
        """Draws it at once."""
        if self.live:
            self._stream.write(f"\r\x1b[K{self._text()[: shutil.get_terminal_size().columns - 1]}")
            self._stream.flush()

    def close(self) -> None:
        """Clears it, for good."""
        self._end.set()
        if self.live:
            self._thread.join()
            self._stream.write("\r\x1b[K")
            self._stream.flush()

    def _refresh(self) -> None:
        while not self._end.wait(self._every):
            self.draw()
