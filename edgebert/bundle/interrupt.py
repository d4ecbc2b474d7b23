"""Ctrl-C at the right moment: not in the middle of what must not be cut off, and never lost."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
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


@contextlib.contextmanager
def watch_interrupt() -> Iterator[Callable[[], None]]:
    """Notice every Ctrl-C in the block, also one that a library swallows or turns into an error of its own.

    Yields:
        A function that raises ``KeyboardInterrupt`` if there has been one. It does nothing where
        :func:`hold_interrupt` does nothing.
    """
    previous = signal.getsignal(signal.SIGINT)
    if not callable(previous) or threading.current_thread() is not threading.main_thread():
        yield lambda: None
        return
    arrived = False

    def handle(number: int, frame: FrameType | None) -> None:
        nonlocal arrived
        arrived = True
        previous(number, frame)

    def check() -> None:
        if arrived:
            raise KeyboardInterrupt

    signal.signal(signal.SIGINT, handle)
    try:
        yield check
    finally:
        signal.signal(signal.SIGINT, previous)
