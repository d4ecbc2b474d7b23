"""The machine this process runs on, as far as inference cares: instruction set, cores and memory it may use."""

from __future__ import annotations

import os
import platform
import sys
from dataclasses import dataclass
from pathlib import Path

from edgebert.devices.cgroups import read_limits
from edgebert.devices.cpuinfo import read_cpuinfo
from edgebert.devices.isa import normalise_architecture
from edgebert.devices.kernel_files import parse_int, read_text
from edgebert.devices.topology import read_topology


@dataclass(frozen=True)
class Machine:
    """A machine as the running process sees it.

    ``system`` is ``platform.system()``; ``architecture`` is the process' own (``x86_64``, ``aarch64``, ``armv7l``, or
    another name as it is). ``vendor`` is the ``/proc/cpuinfo`` vendor id (``GenuineIntel``) or, on ARM, the name of
    the core's implementer (``ARM``); ``model`` is the CPU's name, on ARM boards after the board's; both may be empty.
    ``isa`` holds the features that every core has, out of ``edgebert.devices.KNOWN_ISA``.

    ``logical_cores`` counts hardware threads and ``physical_cores`` cores, both within the affinity mask and the
    whole CPUs of the control group's quota; ``performance_cores`` counts the fast ones among the latter (all of them
    where cores are alike). None is ever below 1. ``memory_bytes`` is the total and ``available_bytes`` what a new
    process could use, both within the control group's limit; 0 means unknown.
    """

    system: str
    architecture: str
    vendor: str
    model: str
    isa: frozenset[str]
    logical_cores: int
    physical_cores: int
    performance_cores: int
    memory_bytes: int
    available_bytes: int


def describe_machine() -> Machine:
    """Describe this machine. Never raises: what cannot be found out gets the value that promises least."""
    architecture = normalise_architecture(platform.machine(), is_64bit=sys.maxsize > 2**32)
    if Path("/proc/self").exists():
        return read_machine(Path("/"), architecture=architecture, system=platform.system())
    cores = os.cpu_count() or 1
    total, available = _memory_from_sysconf()
    return Machine(
        system=platform.system(),
        architecture=architecture,
        vendor="",
        model=platform.processor(),
        isa=read_cpuinfo(architecture).isa,
        logical_cores=cores,
        physical_cores=cores,
        performance_cores=cores,
        memory_bytes=total,
        available_bytes=available,
    )


def read_machine(root: Path, *, architecture: str, system: str = "Linux") -> Machine:
    """Describe the Linux machine whose ``/proc`` and ``/sys`` lie under ``root``, as its process ``self`` sees it.

    Args:
        root: ``/``, or the root of a recorded tree.
        architecture: the normalised architecture; ``/proc`` does not name it.
        system: the system's name.
    """
    cpu = read_cpuinfo(architecture, root)
    topology = read_topology(cpu.cores, root, fallback=os.cpu_count() or 1)
    limits = read_limits(root)
    # A thread beyond the quota does not help: all threads then wait, throttled, for the next period. So round down.
    most = max(int(limits.cpus), 1) if limits.cpus is not None else topology.logical
    total, available = _memory_from_meminfo(root)
    return Machine(
        system=system,
        architecture=architecture,
        vendor=cpu.vendor,
        model=cpu.model,
        isa=cpu.isa,
        logical_cores=min(topology.logical, most),
        physical_cores=min(topology.physical, most),
        performance_cores=min(topology.performance, most),
        memory_bytes=_least(total, limits.memory_bytes),
        available_bytes=_least(available, limits.free_bytes),
    )


def _least(amount: int, limit: int | None) -> int:
    if limit is None:
        return amount
    return min(amount, limit) if amount else limit


def _memory_from_meminfo(root: Path) -> tuple[int, int]:
    fields: dict[str, int] = {}
    for line in read_text(root, "/proc/meminfo").splitlines():
        key, _, value = line.partition(":")
        fields[key] = max(parse_int(value.removesuffix(" kB")) or 0, 0) * 1024
    # Kernels before 3.14 have no MemAvailable; free memory is then the part that is surely there.
    return fields.get("MemTotal", 0), fields.get("MemAvailable", fields.get("MemFree", 0))


def _memory_from_sysconf() -> tuple[int, int]:
    try:
        page = os.sysconf("SC_PAGE_SIZE")
        total = page * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):  # Windows has no sysconf, and systems differ in the names
        return 0, 0
    try:
        return total, page * os.sysconf("SC_AVPHYS_PAGES")
    except (OSError, ValueError):
        return total, 0
