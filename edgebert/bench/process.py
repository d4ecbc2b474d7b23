"""What the operating system says about this process and about the load of the machine."""

from __future__ import annotations

import os
from pathlib import Path


def peak_rss_bytes() -> int | None:
    """The most physical memory that this process ever held; ``None`` where the system does not say.

    ``VmHWM`` of ``/proc/self/status``: unlike ``getrusage``, whose maximum an exec'd child takes over from its parent,
    it starts with the process (``man 5 proc``).
    """
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
    except OSError:
        return None
    for line in status.splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return None


def load_average() -> tuple[float, float, float] | None:
    """Runnable processes over the last 1, 5 and 15 minutes; ``None`` where the system does not say."""
    try:
        return os.getloadavg()
    except (AttributeError, OSError):  # Windows has no such call
        return None
