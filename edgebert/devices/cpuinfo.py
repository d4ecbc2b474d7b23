"""The CPU's vendor, name and instruction set from ``/proc/cpuinfo`` and, on boards, the device tree."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from edgebert.devices.isa import known_features
from edgebert.devices.kernel_files import read_text

# Code -> name as lscpu (util-linux, sys-utils/lscpu-arm.c) has them; the ones met in edge devices and their hosts.
_IMPLEMENTERS = {
    0x41: "ARM",
    0x42: "Broadcom",
    0x43: "Cavium",
    0x46: "Fujitsu",
    0x48: "HiSilicon",
    0x4E: "NVIDIA",
    0x51: "Qualcomm",
    0x53: "Samsung",
    0x56: "Marvell",
    0x61: "Apple",
    0x6D: "Microsoft",
    0x70: "Phytium",
    0xC0: "Ampere",
}
_ARM_PARTS = {
    0xC07: "Cortex-A7",
    0xC09: "Cortex-A9",
    0xC0F: "Cortex-A15",
    0xD03: "Cortex-A53",
    0xD04: "Cortex-A35",
    0xD05: "Cortex-A55",
    0xD07: "Cortex-A57",
    0xD08: "Cortex-A72",
    0xD09: "Cortex-A73",
    0xD0A: "Cortex-A75",
    0xD0B: "Cortex-A76",
    0xD0C: "Neoverse-N1",
    0xD0D: "Cortex-A77",
    0xD0E: "Cortex-A76AE",
    0xD40: "Neoverse-V1",
    0xD41: "Cortex-A78",
    0xD42: "Cortex-A78AE",
    0xD44: "Cortex-X1",
    0xD46: "Cortex-A510",
    0xD47: "Cortex-A710",
    0xD48: "Cortex-X2",
    0xD49: "Neoverse-N2",
    0xD4B: "Cortex-A78C",
    0xD4D: "Cortex-A715",
    0xD4E: "Cortex-X3",
    0xD4F: "Neoverse-V2",
    0xD80: "Cortex-A520",
    0xD81: "Cortex-A720",
    0xD82: "Cortex-X4",
    0xD84: "Neoverse-V3",
    0xD85: "Cortex-X925",
    0xD87: "Cortex-A725",
}

_X86_VENDORS = frozenset({"GenuineIntel", "AuthenticAMD", "HygonGenuine", "CentaurHauls"})

KNOWN_VENDORS: Mapping[str, frozenset[str]] = {
    "x86_64": _X86_VENDORS,
    "aarch64": frozenset(_IMPLEMENTERS.values()),
    "armv7l": frozenset(_IMPLEMENTERS.values()),
}
"""Architecture -> the vendors that ``CpuInfo.vendor`` names on it; a rarer ARM one is given as its code, ``0x75``."""


@dataclass(frozen=True)
class CpuInfo:
    """What ``/proc/cpuinfo`` says. ``vendor`` and ``model`` are empty when it does not say."""

    vendor: str
    model: str
    isa: frozenset[str]
    cores: tuple[dict[str, str], ...]
    """One dictionary per logical CPU, keys and values as in the file."""


def read_cpuinfo(architecture: str, root: Path = Path("/")) -> CpuInfo:
    """Read ``/proc/cpuinfo`` under ``root``; never raises, a missing file gives empty values.

    On a CPU with unequal cores (big.LITTLE) only the features that **every** core has count: the scheduler may move
    a thread to any of them.
    """
    cores = _blocks(read_text(root, "/proc/cpuinfo"))
    flags = [frozenset(words) for core in cores if (words := _features(core))]
    isa = known_features(frozenset.intersection(*flags) if flags else frozenset(), architecture)
    if architecture in ("aarch64", "armv7l"):
        vendor, cpu = _arm_names(cores)
        board = read_text(root, "/proc/device-tree/model").split("\0")[0].strip()
        model = f"{board} ({cpu})" if board and cpu else board or cpu
    else:
        first = cores[0] if cores else {}
        vendor, model = first.get("vendor_id", ""), first.get("model name", "")
    return CpuInfo(vendor, model, isa, tuple(cores))


def _blocks(text: str) -> list[dict[str, str]]:
    # 32-bit ARM kernels put "Hardware", "Revision" and "Model" in a block of their own without a "processor" line;
    # a few old vendor kernels give "Features" and "CPU part" only there, for all cores.
    cores: list[dict[str, str]] = []
    common: dict[str, str] = {}
    for block in text.replace("\r\n", "\n").split("\n\n"):
        fields: dict[str, str] = {}
        for line in block.split("\n"):
            key, colon, value = line.partition(":")
            if colon:
                fields[key.strip()] = value.strip()
        if fields.get("processor", "").isdecimal():
            cores.append(fields)
        else:
            common.update(fields)
    return [{**common, **core} for core in cores]


def _features(core: dict[str, str]) -> list[str]:
    return (core.get("flags") or core.get("Features") or "").lower().split()


def _arm_names(cores: list[dict[str, str]]) -> tuple[str, str]:
    vendors: dict[str, int] = {}
    models: dict[str, int] = {}
    for core in cores:
        implementer, part = _hex(core.get("CPU implementer")), _hex(core.get("CPU part"))
        if implementer is None:
            continue
        vendor = _IMPLEMENTERS.get(implementer, f"0x{implementer:02x}")
        vendors[vendor] = vendors.get(vendor, 0) + 1
        if part is not None:
            name = _ARM_PARTS.get(part) if implementer == 0x41 else None
            name = name or f"{vendor} part 0x{part:03x}"
            models[name] = models.get(name, 0) + 1
    if len(models) > 1:
        return ", ".join(vendors), " + ".join(f"{count}x {name}" for name, count in models.items())
    return ", ".join(vendors), next(iter(models), "")


def _hex(text: str | None) -> int | None:
    try:
        return int(text or "", 16)
    except ValueError:
        return None
