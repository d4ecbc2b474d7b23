"""How hot this machine is, how fast it is clocked, and whether it throttles.

From ``/sys/class/thermal`` (Documentation/driver-api/thermal/sysfs-api.rst of Linux), ``cpufreq`` (Documentation/
admin-guide/pm/cpufreq.rst), ``hwmon``, and what counts throttling or flags it. The latter are named by their kind:

- ``count:``: events since the start of the machine: Intel's ``core_throttle_count`` and ``package_throttle_count``
  (Documentation/admin-guide/thermal/intel_thermal_throttle.rst), a Jetson's ``oc1_event_cnt`` and its like
  (over-current throttling; NVIDIA's Jetson Linux Developer Guide, "Platform Power and Performance").
- ``cooling:``: how much a cooling device that slows a processor down does at the moment, 0 for nothing.
- ``alarm:``: 1 while the supply voltage of a Raspberry Pi is too low.
- ``flags:get_throttled``: the bits of ``vcgencmd get_throttled`` of a Raspberry Pi: 0 to 3 for under-voltage, capped
  clock, throttled, and soft temperature limit at the moment, 16 to 19 for the same since the start of the machine.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from edgebert.bench.report import ThermalState
from edgebert.devices.kernel_files import read_int, read_text

MAX_FALL = 0.10
"""By what share the highest clock may fall while the machine works, before that counts as throttling."""

_CPU_SENSORS = ("coretemp", "k10temp", "zenpower")
_WHOLE_CPU = ("Package", "Physical", "Tctl", "Tdie")
"""Beginnings of the labels that stand for the whole CPU and not for a core."""

_SLOWS_A_PROCESSOR = re.compile("cpu|processor|throttl|freq|powerclamp", re.IGNORECASE)
_PI_BITS = ("under-voltage", "capped clock", "throttling", "soft temperature limit")
_NOW = (1 << len(_PI_BITS)) - 1
_SINCE_BOOT = 16


def thermal_state(root: Path = Path("/")) -> ThermalState:
    """What the system says of heat now; never raises.

    Args:
        root: where ``/sys`` is.
    """
    # The clocks first: they fall as soon as the work ends.
    frequencies: dict[str, float] = {}
    limits: dict[str, float] = {}
    for policy in _entries(root, "sys/devices/system/cpu/cpufreq", "policy"):
        folder = f"/sys/devices/system/cpu/cpufreq/{policy}"
        for kilohertz, found in (("scaling_cur_freq", frequencies), ("scaling_max_freq", limits)):
            value = read_int(root, f"{folder}/{kilohertz}")
            if value is not None and value > 0:
                found[policy] = value / 1000
    return ThermalState(dict(_temperatures(root)), frequencies, limits, dict(sorted(_throttling(root))))


def untold(state: ThermalState) -> dict[str, str]:
    """What this machine does not tell of heat -> why."""
    found = {}
    if not state.temperatures_c:
        found["temperature"] = "no sensor under /sys/class/thermal or /sys/class/hwmon"
    if not state.frequencies_mhz:
        found["frequency"] = "no /sys/devices/system/cpu/cpufreq"
    if not state.throttling and not state.frequencies_mhz:
        found["throttling"] = "nothing here counts it, and without clocks it cannot be seen either"
    return found


def signs_of_throttling(before: ThermalState, after: ThermalState) -> tuple[str, ...]:
    """What speaks for throttling between two moments of work, a sentence each, without its full stop."""
    signs = []
    fastest, then = (max(state.frequencies_mhz.values(), default=0.0) for state in (before, after))
    if before.frequencies_mhz and after.frequencies_mhz and then < fastest * (1 - MAX_FALL):
        signs.append(f"the highest clock fell from {fastest:.0f} to {then:.0f} MHz")
    for name in sorted(before.limits_mhz.keys() & after.limits_mhz.keys()):
        if after.limits_mhz[name] < before.limits_mhz[name]:
            limits = f"{before.limits_mhz[name]:.0f} to {after.limits_mhz[name]:.0f} MHz"
            signs.append(f"the clock of {name} was limited from {limits}")
    for name in sorted(before.throttling.keys() & after.throttling.keys()):
        signs += _sign(name, before.throttling[name], after.throttling[name])
    return tuple(signs)


def _sign(name: str, before: int, after: int) -> Iterator[str]:
    kind, _, what = name.partition(":")
    if kind == "count" and after > before:
        yield f"{what} rose by {after - before}"
    elif kind == "cooling" and max(before, after) > 0:
        yield f"the cooling device {what} slows the processor down (state {before}, then {after})"
    elif kind == "alarm" and max(before, after) > 0:
        yield f"{what} says that the supply voltage is too low"
    elif kind == "flags":
        bits = (before | after) & _NOW | (after & ~before) >> _SINCE_BOOT & _NOW
        named = [meaning for bit, meaning in enumerate(_PI_BITS) if bits >> bit & 1]
        if named:
            yield f"{what} says: {', '.join(named)}"


def _temperatures(root: Path) -> Iterator[tuple[str, float]]:
    seen: set[str] = set()
    for name, millidegrees in (*_zones(root), *_cpu_sensors(root)):
        # Sensors that are off read as absurd values, or not at all.
        if millidegrees is not None and -50_000 < millidegrees < 200_000:
            unique = next(one for one in (name, *(f"{name} {n}" for n in range(2, 10_000))) if one not in seen)
            seen.add(unique)
            yield unique, millidegrees / 1000


def _zones(root: Path) -> Iterator[tuple[str, int | None]]:
    for zone in _entries(root, "sys/class/thermal", "thermal_zone"):
        folder = f"/sys/class/thermal/{zone}"
        yield read_text(root, f"{folder}/type").strip() or zone, read_int(root, f"{folder}/temp")


def _cpu_sensors(root: Path) -> Iterator[tuple[str, int | None]]:
    for chip in _entries(root, "sys/class/hwmon", "hwmon"):
        folder = f"/sys/class/hwmon/{chip}"
        name = read_text(root, f"{folder}/name").strip()
        if name not in _CPU_SENSORS:
            continue
        for entry in _entries(root, folder.lstrip("/"), "temp"):
            if entry.endswith("_input"):
                label = read_text(root, f"{folder}/{entry.removesuffix('_input')}_label").strip()
                if label.startswith(_WHOLE_CPU):
                    yield f"{name} {label}", read_int(root, f"{folder}/{entry}")


def _throttling(root: Path) -> Iterator[tuple[str, int]]:
    counts: dict[str, int] = {}
    for cpu in _entries(root, "sys/devices/system/cpu", "cpu"):
        for name in ("core_throttle_count", "package_throttle_count"):
            value = read_int(root, f"/sys/devices/system/cpu/{cpu}/thermal_throttle/{name}")
            if value is not None:
                counts[f"count:{name}"] = counts.get(f"count:{name}", 0) + value
    for device in _entries(root, "sys/class/thermal", "cooling_device"):
        folder = f"/sys/class/thermal/{device}"
        kind = read_text(root, f"{folder}/type").strip()
        state = read_int(root, f"{folder}/cur_state")
        if state is not None and _SLOWS_A_PROCESSOR.search(kind):
            counts[f"cooling:{kind}"] = max(counts.get(f"cooling:{kind}", 0), state)
    for chip in _entries(root, "sys/class/hwmon", "hwmon"):
        folder = f"/sys/class/hwmon/{chip}"
        for entry in _entries(root, folder.lstrip("/"), "oc"):
            value = read_int(root, f"{folder}/{entry}")
            if entry.endswith("_event_cnt") and value is not None:
                counts[f"count:{entry}"] = counts.get(f"count:{entry}", 0) + value
        alarm = read_int(root, f"{folder}/in0_lcrit_alarm")
        if read_text(root, f"{folder}/name").strip() == "rpi_volt" and alarm is not None:
            counts["alarm:rpi_volt"] = alarm
    flags = _pi_flags(root)
    if flags is not None:
        counts["flags:get_throttled"] = flags
    yield from counts.items()


def _pi_flags(root: Path) -> int | None:
    for soc in _entries(root, "sys/devices/platform", "soc"):
        for entry in _entries(root, f"sys/devices/platform/{soc}", "soc"):
            text = read_text(root, f"/sys/devices/platform/{soc}/{entry}/get_throttled").strip()
            if re.fullmatch("(0x)?[0-9a-fA-F]{1,8}", text):
                return int(text, 16)
    return None


def _entries(root: Path, folder: str, prefix: str) -> list[str]:
    """The names in a folder that begin so, numbers in their order."""
    try:
        names = [entry.name for entry in (root / folder).iterdir() if entry.name.startswith(prefix)]
    except OSError:
        return []
    return sorted(
        names, key=lambda name: [int(part) if part.isdecimal() else part for part in re.split(r"(\d+)", name)]
    )
