"""Architecture and instruction-set names: the kernel's own, and only those that decide how inference runs."""

from __future__ import annotations

from collections.abc import Mapping

_X86 = frozenset(
    {
        *("sse4_2", "avx", "avx2", "fma", "f16c"),
        *("avx512f", "avx512bw", "avx512vl", "avx512_vnni", "avx512_bf16", "avx512_fp16", "avx_vnni"),
        *("amx_tile", "amx_int8", "amx_bf16"),
    }
)
# asimddp is the int8 dot product (SDOT/UDOT), i8mm the int8 matrix product, asimdhp/fphp half-precision arithmetic.
_AARCH64 = frozenset({"asimd", "asimdhp", "fphp", "asimddp", "i8mm", "bf16", "sve", "sve2", "sme"})
_ARMV7 = frozenset({"neon", "asimddp", "asimdhp", "fphp", "i8mm"})

KNOWN_ISA: Mapping[str, frozenset[str]] = {"x86_64": _X86, "aarch64": _AARCH64, "armv7l": _ARMV7}
"""Architecture -> the ISA features (``/proc/cpuinfo`` names) that EdgeBERT knows on it."""

_SYNONYMS = {"amd64": "x86_64", "x64": "x86_64", "arm64": "aarch64", "armv8l": "armv7l", "armhf": "armv7l"}


def normalise_architecture(machine: str, *, is_64bit: bool = True) -> str:
    """The architecture that this *process* runs as.

    Args:
        machine: ``uname -m`` or what another system calls it (``arm64``, ``AMD64``).
        is_64bit: whether the process is. A 32-bit Python on a 64-bit kernel (the 32-bit Raspberry Pi OS) sees the
            kernel's ``aarch64``, but needs 32-bit libraries.

    Returns:
        ``x86_64``, ``aarch64``, ``armv7l``, or the lower-case name of anything else.
    """
    name = machine.strip().lower()
    name = _SYNONYMS.get(name, name)
    if not is_64bit:
        return {"aarch64": "armv7l", "x86_64": "i686"}.get(name, name)
    return name


def known_features(names: frozenset[str], architecture: str) -> frozenset[str]:
    """The features of ``names`` that matter on ``architecture``, plus what the architecture always has."""
    found = names & KNOWN_ISA.get(architecture, frozenset())
    if architecture == "aarch64":
        # Advanced SIMD is part of the base that every Linux, Android and macOS distribution for it is compiled for.
        return found | {"asimd"}
    if architecture == "armv7l" and "asimd" in names:
        # A 64-bit kernel lists the 64-bit names; the same registers are NEON to a 32-bit process.
        return found | {"neon"}
    return found
