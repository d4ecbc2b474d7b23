"""Reading the small text files of /proc and /sys, under any root, so that a recorded tree reads like a live one."""

from __future__ import annotations

from pathlib import Path

# More CPUs than Linux can be built for (NR_CPUS is at most 8192): a damaged list cannot make us count for hours.
_MOST_CPUS = 8192
_MOST_BYTES = 4 << 20


def read_text(root: Path, path: str) -> str:
    """The text of ``path`` (absolute, as on the device) under ``root``; empty when it cannot be read.

    Bytes that are not UTF-8 are replaced: device trees and firmware tables hold what a vendor wrote there.
    """
    try:
        with (root / path.lstrip("/")).open("rb") as file:
            return file.read(_MOST_BYTES).decode("utf-8", errors="replace")
    except (OSError, ValueError):
        return ""


def read_int(root: Path, path: str) -> int | None:
    """The one integer in a file, or ``None`` when there is none (missing file, ``max``, damage)."""
    return parse_int(read_text(root, path))


def parse_int(text: str) -> int | None:
    """``text`` as a decimal integer, or ``None``."""
    digits = text.strip()
    # isdecimal() also accepts digits of other scripts, and int() limits the length: neither belongs in these files.
    if len(digits) > 20 or not digits.isascii() or not digits.removeprefix("-").isdecimal():
        return None
    return int(digits)


def parse_cpu_list(text: str) -> frozenset[int]:
    """The CPU numbers in a kernel CPU list such as ``0-3,8,10-11``; parts that do not read are left out."""
    cpus: set[int] = set()
    for part in text.strip().split(","):
        first, _, last = part.partition("-")
        start, stop = parse_int(first), parse_int(last or first)
        if start is not None and stop is not None:
            cpus.update(range(max(start, 0), min(stop + 1, _MOST_CPUS)))
    return frozenset(cpus)
