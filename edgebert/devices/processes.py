"""How a child process ended, in words."""

from __future__ import annotations

import signal


def describe_exit(returncode: int) -> str:
    """What became of a process, by the return code that :mod:`subprocess` gives: negative for a signal."""
    if returncode >= 0:
        return f"the process ended with exit status {returncode}"
    try:
        name = signal.Signals(-returncode).name
    except ValueError:  # a real-time signal
        name = f"signal {-returncode}"
    memory = "; the system does this when memory runs out" if name == "SIGKILL" else ""
    return f"the process was killed by {name}{memory}"
