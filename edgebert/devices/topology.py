"""Which CPUs this process may use, and how they group into cores and into fast and slow ones."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edgebert.devices.kernel_files import parse_cpu_list, parse_int, read_int, read_text

# A core counts as a performance core from this share of the fastest core's figure on. Capacity (normalised to 1024,
# frequency included) separates clusters widely: an RK3588's small cores stand at about 0.4, a phone's middle cluster
# at 0.6 to 0.85. Frequency alone separates them less.
_CAPACITY_SHARE = 0.5
_FREQUENCY_SHARE = 0.8


@dataclass(frozen=True)
class Topology:
    """The CPUs that the process may use: ``logical`` counts hardware threads, the others whole cores."""

    logical: int
    physical: int
    performance: int


def read_topology(cores: tuple[dict[str, str], ...], root: Path = Path("/"), *, fallback: int = 1) -> Topology:
    """Count the CPUs in this process' affinity.

    Args:
        cores: the entries of ``/proc/cpuinfo``, one per logical CPU.
        root: where ``/proc`` and ``/sys`` are.
        fallback: the number of CPUs when neither says.
    """
    cpus = _usable_cpus(cores, root) or frozenset(range(max(fallback, 1)))
    groups = {_siblings(cpu, cores, root) & cpus or frozenset({cpu}) for cpu in cpus}
    return Topology(len(cpus), len(groups), _performance_cores(groups, root))


def _usable_cpus(cores: tuple[dict[str, str], ...], root: Path) -> frozenset[int]:
    online = parse_cpu_list(read_text(root, "/sys/devices/system/cpu/online"))
    listed = frozenset(cpu for core in cores if (cpu := parse_int(core["processor"])) is not None)
    present = online or listed
    for line in read_text(root, "/proc/self/status").splitlines():
        key, _, value = line.partition(":")
        if key == "Cpus_allowed_list":
            allowed = parse_cpu_list(value)
            return (allowed & present if present else allowed) or present
    return present


def _siblings(cpu: int, cores: tuple[dict[str, str], ...], root: Path) -> frozenset[int]:
    folder = f"/sys/devices/system/cpu/cpu{cpu}/topology"
    for name in ("core_cpus_list", "thread_siblings_list"):  # the second is the name before Linux 5.3
        siblings = parse_cpu_list(read_text(root, f"{folder}/{name}"))
        if cpu in siblings:
            return siblings
    by_cpu = {parse_int(core["processor"]): (core.get("physical id"), core.get("core id")) for core in cores}
    mine = by_cpu.get(cpu)
    if mine is None or None in mine:
        return frozenset({cpu})
    return frozenset(other for other, place in by_cpu.items() if other is not None and place == mine)


def _performance_cores(groups: set[frozenset[int]], root: Path) -> int:
    # Intel hybrids name their kinds of core: https://docs.kernel.org/admin-guide/perf/ ("cpu_core", "cpu_atom").
    fast = parse_cpu_list(read_text(root, "/sys/devices/cpu_core/cpus"))
    if fast and parse_cpu_list(read_text(root, "/sys/devices/cpu_atom/cpus")):
        return sum(bool(group & fast) for group in groups) or len(groups)
    for name, share in (("cpu_capacity", _CAPACITY_SHARE), ("cpufreq/cpuinfo_max_freq", _FREQUENCY_SHARE)):
        figures = [read_int(root, f"/sys/devices/system/cpu/cpu{min(group)}/{name}") for group in groups]
        known = [figure for figure in figures if figure is not None and figure > 0]
        if len(known) == len(groups):
            return sum(figure >= share * max(known) for figure in known)
    return len(groups)
