"""Holding Ctrl-C back for a moment."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType


@contextlib.contextmanager
def hold_interrupt() -> Iterator[None]:
    """Let a Ctrl-C (SIGINT) that arrives in the block take effect when the block is left.

    For what must not be cut off in the middle: removing temporary files, and importing a module written in C++, which
    crashes the process. Without effect outside the main thread, which alone gets signals, and where SIGINT is not
    handled by Python.
    """
    previous = signal.getsignal(signal.SIGINT)
    if not callable(previous) or threading.current_thread() is not threading.main_thread():
        yield
        return
    arrived: list[FrameType | None] = []
    signal.signal(signal.SIGINT, lambda number, frame: arrived.append(frame))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, previous)
        if arrived:
            previous(signal.SIGINT, arrived[0])
