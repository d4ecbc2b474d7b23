"""What the operating system says about this process and about the load of the machine."""

from __future__ import annotations

import os
from pathlib import Path

from edgebert.bench.report import Resident
from edgebert.devices.kernel_files import parse_int, read_text


def peak_rss_bytes() -> int | None:
    """The most physical memory that this process ever held; ``None`` where the system does not say.

    ``VmHWM`` of ``/proc/self/status``: unlike ``getrusage``, whose maximum an exec'd child takes over from its parent,
    it starts with the process (``man 5 proc``).
    """
    return _kilobytes(Path("/"), "/proc/self/status").get("VmHWM")


def resident(root: Path = Path("/")) -> Resident | None:
    """What this process holds in physical memory now; ``None`` where the system does not say.

    ``/proc/self/smaps_rollup``, which Linux has since 4.14 and which walks the page tables: milliseconds for a big
    process.

    Args:
        root: where ``/proc`` is.
    """
    found = _kilobytes(root, "/proc/self/smaps_rollup")
    try:
        rss, anonymous, pss = found["Rss"], found["Anonymous"], found["Pss"]
    except KeyError:
        return None
    return Resident(rss_bytes=rss, file_bytes=max(rss - anonymous, 0), anonymous_bytes=anonymous, pss_bytes=pss)


def load_average() -> tuple[float, float, float] | None:
    """Runnable processes over the last 1, 5 and 15 minutes; ``None`` where the system does not say."""
    try:
        return os.getloadavg()
    except (AttributeError, OSError):  # Windows has no such call
        return None


def _kilobytes(root: Path, path: str) -> dict[str, int]:
    """The lines ``Name:  123 kB`` of a file of ``/proc``, in bytes."""
    found = {}
    for line in read_text(root, path).splitlines():
        name, colon, value = line.partition(":")
        amount = parse_int(value.strip().removesuffix("kB"))
        if colon and amount is not None and amount >= 0 and value.rstrip().endswith("kB"):
            found[name] = amount * 1024
    return found
