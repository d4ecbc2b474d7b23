"""What every test needs, wherever the suite is started."""

from __future__ import annotations

import signal

from tests.jetson.bundle import jetson_bundle

__all__ = ["jetson_bundle"]

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell starts background jobs so, and children inherit it: tests of Ctrl-C would wait for nothing.
    signal.signal(signal.SIGINT, signal.default_int_handler)
