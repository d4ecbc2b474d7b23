"""The files of ``/sys`` that tell energy or power.

- ``/sys/class/powercap``: Documentation/power/powercap/powercap.rst of Linux. Intel's and AMD's CPUs count by RAPL.
- ``/sys/class/hwmon``: Documentation/hwmon/ina3221.rst and ina2xx.rst; units are those of hwmon (mV, mA, µW).
- ``/sys/bus/iio/devices``: NVIDIA's own driver of the same chips in Jetson Linux up to 32 (mW).
- ``/sys/class/power_supply``: Documentation/power/power_supply_class.rst (µWh, or µAh and µV).

Each finder gives a source, or says in words why there is none.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from edgebert.devices.kernel_files import parse_int, read_int, read_text

_ZONE = re.compile(r"(?P<control>[A-Za-z0-9_-]+):(?P<zone>\d+)(?P<part>:\d+)?")
_CHIPS = ("ina3221", "ina219", "ina220", "ina226", "ina230", "ina231", "ina238")
_WHOLE = ("VDD_IN", "POM_5V_IN", "VIN")
"""Rails behind which all others of the board hang (Jetson Nano, TX2, Xavier NX, Orin NX and Nano; Thor)."""


@dataclass(frozen=True, slots=True)
class Counter:
    """A counter of energy.

    Attributes:
        name: what it counts.
        value: reads it, in units of ``unit``; ``None`` when it cannot be read.
        unit: joules for one.
        span: the greatest value, after which it begins at 0 again; ``None`` where unknown.
        falls: whether it counts down, as what is left in a battery.
    """

    name: str
    value: Callable[[], int | None]
    unit: float
    span: int | None = None
    falls: bool = False

    def read(self) -> int | None:
        """Its value now."""
        return self.value()

    def between(self, last: int, now: int) -> float:
        """Joules from one reading to the next, at least 0; the counter has begun anew at most once in between."""
        gone = last - now if self.falls else now - last
        if gone < 0 and not self.falls:
            # It ran over; where that happens is unknown if the span is: then what it has counted since is all we know.
            gone = now if self.span is None or self.span < last else gone + self.span + 1
        return max(gone, 0) * self.unit


def find_counters(root: Path) -> list[Counter] | str:
    """The packages of the CPU and their memory, or what else the power capping framework counts."""
    folder = root / "sys/class/powercap"
    zones: dict[str, dict[str, str]] = {}
    for entry in _entries(folder):
        found = _ZONE.fullmatch(entry)
        if found:
            zones.setdefault(found["control"], {})[entry] = read_text(root, f"/sys/class/powercap/{entry}/name").strip()
    if not zones:
        return "no counter of energy: /sys/class/powercap has no zone (virtual machines and most ARM boards have none)"
    # intel-rapl-mmio counts the same package a second time.
    control = "intel-rapl" if "intel-rapl" in zones else min(zones)
    chosen = {
        entry: name or entry for entry, name in zones[control].items() if _counts(entry, name, control, zones[control])
    }
    counters, denied = [], ""
    for entry, name in sorted(chosen.items()):
        path = f"/sys/class/powercap/{entry}/energy_uj"
        if read_int(root, path) is None:
            denied = denied or _why_not(root, path)
            continue
        span = read_int(root, f"/sys/class/powercap/{entry}/max_energy_range_uj")
        counters.append(Counter(name, _reader(root, path), 1e-6, span))
    if not counters:
        return denied or f"no counter of energy: no zone of {control} counts the CPU"
    # A sum that lacks a part would pass for the whole.
    return denied if denied else counters


def _counts(entry: str, name: str, control: str, zones: dict[str, str]) -> bool:
    """Whether a zone belongs into the sum: packages and the memory beside them, and nothing twice."""
    part = entry.count(":") > 1
    if control != "intel-rapl":
        return not part
    return name.startswith("package") if not part else name == "dram" and zones.get(entry.rpartition(":")[0]) != "psys"


def find_rails(root: Path) -> tuple[tuple[str, ...], Callable[[], float | None]] | str:
    """The rails of a board, and what gives their power in watts: the rail before all others, else the sum of all."""
    rails = {**_hwmon_rails(root), **_iio_rails(root)}
    if not rails:
        return "no power monitor: no INA chip under /sys/class/hwmon or /sys/bus/iio"
    unreadable = [name for name, watts in rails.items() if watts() is None]
    if unreadable:
        return f"a power monitor that cannot be read: rail {unreadable[0]}"
    names = next(((whole,) for whole in _WHOLE if whole in rails), tuple(sorted(rails)))
    return names, _sum([rails[name] for name in names])


def _hwmon_rails(root: Path) -> dict[str, Callable[[], float | None]]:
    rails: dict[str, Callable[[], float | None]] = {}
    for chip in _entries(root / "sys/class/hwmon"):
        folder = f"/sys/class/hwmon/{chip}"
        name = read_text(root, f"{folder}/name").strip()
        if name not in _CHIPS:
            continue
        for channel in (1, 2, 3):
            label = _label(root, folder, channel)
            if label is None or read_text(root, f"{folder}/in{channel}_enable").strip() == "0":
                continue
            power, volt, ampere = (f"{folder}/{what}{channel}_input" for what in ("power", "in", "curr"))
            if (root / power.lstrip("/")).exists():
                rails[label] = _scaled(_reader(root, power), 1e-6)
            elif (root / ampere.lstrip("/")).exists():
                rails[label] = _product(_reader(root, volt), _reader(root, ampere), 1e-6)
    return rails


def _label(root: Path, folder: str, channel: int) -> str | None:
    """The name of a rail; ``None`` for one that is not connected (``NC``) or not there."""
    for what in ("power", "in"):
        label = read_text(root, f"{folder}/{what}{channel}_label").strip()
        if label:
            return None if label == "NC" or label.startswith("sum of") else label
    # The chips for one rail have no labels.
    there = channel == 1 and (root / folder.lstrip("/") / "power1_input").exists()
    return f"{read_text(root, f'{folder}/name').strip()} {folder.rpartition('/')[2]}" if there else None


def _iio_rails(root: Path) -> dict[str, Callable[[], float | None]]:
    rails: dict[str, Callable[[], float | None]] = {}
    for device in _entries(root / "sys/bus/iio/devices"):
        folder = f"/sys/bus/iio/devices/{device}"
        for channel in (0, 1, 2):
            label = read_text(root, f"{folder}/rail_name_{channel}").strip()
            if label and label != "NC":
                rails[label] = _scaled(_reader(root, f"{folder}/in_power{channel}_input"), 1e-3)
    return rails


def find_battery(root: Path) -> Counter | str:
    """What is left in the battery, while it is what feeds the machine."""
    reason = "no battery under /sys/class/power_supply"
    for entry in _entries(root / "sys/class/power_supply"):
        folder = f"/sys/class/power_supply/{entry}"
        if read_text(root, f"{folder}/type").strip() != "Battery":
            continue
        # The batteries of mice and headsets are no source of this machine.
        if read_text(root, f"{folder}/scope").strip() == "Device":
            continue
        status = read_text(root, f"{folder}/status").strip()
        if status != "Discharging":
            reason = f"the battery {entry} is not discharging ({status or 'unknown'}): unplug the machine"
            continue
        if read_int(root, f"{folder}/energy_now") is not None:
            return Counter(entry, _reader(root, f"{folder}/energy_now"), 3600e-6, falls=True)
        microvolts = read_int(root, f"{folder}/voltage_now")
        if read_int(root, f"{folder}/charge_now") is not None and microvolts is not None:
            # The voltage falls by a few percent while the battery empties: it is taken as it is now.
            return Counter(entry, _reader(root, f"{folder}/charge_now"), 3600e-6 * microvolts * 1e-6, falls=True)
        reason = f"the battery {entry} does not tell its energy"
    return reason


def _why_not(root: Path, path: str) -> str:
    try:
        (root / path.lstrip("/")).read_bytes()
    except PermissionError:
        return f"{path} may not be read: run as root, or let this user read it"
    except OSError as error:
        return f"{path} cannot be read: {error.strerror}"
    return f"{path} holds no number"


def _entries(folder: Path) -> list[str]:
    try:
        return sorted(entry.name for entry in folder.iterdir())
    except OSError:
        return []


def _reader(root: Path, path: str) -> Callable[[], int | None]:
    """Reads the number that a file begins with: some drivers write the unit after it."""

    def read() -> int | None:
        words = read_text(root, path).split()
        return parse_int(words[0]) if words else None

    return read


def _scaled(value: Callable[[], int | None], factor: float) -> Callable[[], float | None]:
    def read() -> float | None:
        found = value()
        return None if found is None else found * factor

    return read


def _product(
    one: Callable[[], int | None], other: Callable[[], int | None], factor: float
) -> Callable[[], float | None]:
    def read() -> float | None:
        first, second = one(), other()
        return None if first is None or second is None else first * second * factor

    return read


def _sum(parts: Sequence[Callable[[], float | None]]) -> Callable[[], float | None]:
    def read() -> float | None:
        total = 0.0
        for part in parts:
            watts = part()
            if watts is None:
                return None
            total += watts
        return total

    return read
