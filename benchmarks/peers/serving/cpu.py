"""The one question about the CPU on which careful users' int8 recipes depend."""

from __future__ import annotations


def flags() -> set[str]:
    """Features of the CPU, as Linux names them; empty where it does not tell."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:  # noqa: PTH123
            for line in file:
                if line.startswith(("flags", "Features")):
                    return set(line.partition(":")[2].split())
    except OSError:
        pass
    return set()


def saturates() -> bool:
    """Whether u8 x s8 products may overflow 16-bit sums: x86 without VNNI, where weights must keep to 7 bits."""
    found = flags()
    return "avx2" in found and not found & {"avx512_vnni", "avx_vnni"}
