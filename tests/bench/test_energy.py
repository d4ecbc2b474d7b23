"""What measures energy, on made-up machines."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgebert.bench import EnergyMeter, Unavailable, open_meter
from edgebert.bench.energy_sources import Counter
from tests.bench.sysfs import write_tree

POWERCAP = "sys/class/powercap"
HWMON = "sys/class/hwmon"
SUPPLY = "sys/class/power_supply"
PARSED = settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


def zone(entry: str, name: str, microjoules: object, span: int = 262_143_328_850) -> dict[str, object]:
    folder = f"{POWERCAP}/{entry}"
    return {f"{folder}/name": name, f"{folder}/energy_uj": microjoules, f"{folder}/max_energy_range_uj": span}


def meter(root: Path, files: Mapping[str, object], *, battery: bool = False) -> EnergyMeter:
    opened = open_meter(write_tree(root, files), battery=battery)
    assert isinstance(opened, EnergyMeter), opened
    return opened


def refusal(root: Path, files: Mapping[str, object], *, battery: bool = False) -> str:
    found = open_meter(write_tree(root, files), battery=battery)
    assert isinstance(found, Unavailable)
    return found.reason


def test_packages_and_memory_are_counted_and_nothing_twice(tmp_path: Path) -> None:
    files = {
        **zone("intel-rapl:0", "package-0", 1_000_000),
        **zone("intel-rapl:0:0", "core", 500_000),
        **zone("intel-rapl:0:1", "dram", 2_000_000),
        **zone("intel-rapl:1", "package-1", 5_000_000),
        **zone("intel-rapl:2", "psys", 9_000_000),
        **zone("intel-rapl-mmio:0", "package-0", 1_000_000),
        f"{POWERCAP}/intel-rapl/enabled": 1,
    }
    with meter(tmp_path, files) as opened:
        assert (opened.source, opened.domains) == ("powercap", ("package-0", "dram", "package-1"))
        assert opened.joules() == 0
        write_tree(
            tmp_path, {f"{POWERCAP}/{entry}/energy_uj": 10_000_000 for entry in ("intel-rapl:0", "intel-rapl:2")}
        )
        assert opened.joules() == pytest.approx(9.0)
        write_tree(tmp_path, {f"{POWERCAP}/intel-rapl:0:1/energy_uj": 2_500_000})
        assert opened.joules() == pytest.approx(9.5)


def test_another_control_type_counts_its_own_zones(tmp_path: Path) -> None:
    files = {**zone("arm-scmi:0", "soc", 1), **zone("arm-scmi:0:0", "big", 1)}
    with meter(tmp_path, files) as opened:
        assert opened.domains == ("soc",)


def test_a_counter_that_runs_over_goes_on(tmp_path: Path) -> None:
    with meter(tmp_path, zone("intel-rapl:0", "package-0", 99_000_000, span=100_000_000)) as opened:
        write_tree(tmp_path, {f"{POWERCAP}/intel-rapl:0/energy_uj": 3_000_000})
        assert opened.joules() == pytest.approx(4.000001)


def test_a_counter_that_is_unreadable_for_a_moment_loses_nothing(tmp_path: Path) -> None:
    with meter(tmp_path, zone("intel-rapl:0", "package-0", 1_000_000)) as opened:
        write_tree(tmp_path, {f"{POWERCAP}/intel-rapl:0/energy_uj": "?"})
        assert opened.joules() == 0
        write_tree(tmp_path, {f"{POWERCAP}/intel-rapl:0/energy_uj": 3_000_000})
        assert opened.joules() == pytest.approx(2.0)


EXACT = 2**53
"""The whole numbers that a float holds."""


@given(st.integers(1, EXACT - 1), st.integers(0, EXACT), st.lists(st.integers(0, EXACT), max_size=20))
def test_what_a_counter_counts_is_never_lost_to_its_span(span: int, start: int, steps: list[int]) -> None:
    position = start % (span + 1)
    counter = Counter("package-0", lambda: None, 1.0, span)
    for step in steps:
        gone = step % (span + 1)  # it runs over at most once between two readings
        later = (position + gone) % (span + 1)
        assert counter.between(position, later) == gone
        position = later


@given(st.integers(0, 2**63), st.integers(0, 2**63), st.booleans(), st.none() | st.integers(0, 2**63))
def test_energy_never_falls(last: int, now: int, falls: bool, span: int | None) -> None:
    assert Counter("x", lambda: None, 1e-6, span, falls).between(last, now) >= 0


@pytest.mark.skipif(os.getuid() == 0, reason="root may read everything")
def test_a_counter_that_may_not_be_read_is_named(tmp_path: Path) -> None:
    files = zone("intel-rapl:0", "package-0", 1)
    write_tree(tmp_path, files)
    (tmp_path / f"{POWERCAP}/intel-rapl:0/energy_uj").chmod(0)
    assert "/sys/class/powercap/intel-rapl:0/energy_uj may not be read: run as root" in refusal(tmp_path, {})


def test_permission_is_told_from_absence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(self: Path, *_: object, **__: object) -> bytes:
        raise PermissionError(13, "Permission denied")

    write_tree(tmp_path, zone("intel-rapl:0", "package-0", "?"))
    monkeypatch.setattr(Path, "read_bytes", denied)
    assert "energy_uj may not be read: run as root, or let this user read it" in refusal(tmp_path, {})


def test_a_sum_that_lacks_a_part_is_no_sum(tmp_path: Path) -> None:
    files = {**zone("intel-rapl:0", "package-0", 1), **zone("intel-rapl:1", "package-1", "?")}
    assert "intel-rapl:1/energy_uj holds no number" in refusal(tmp_path, files)


def test_a_machine_with_nothing_says_what_was_looked_for(tmp_path: Path) -> None:
    reason = refusal(tmp_path, {})
    assert "/sys/class/powercap has no zone" in reason
    assert "no INA chip" in reason
    assert "battery" not in reason
    assert "no battery under /sys/class/power_supply" in refusal(tmp_path, {}, battery=True)
    core = {**zone("intel-rapl:0", "core", 1)}
    assert "no zone of intel-rapl counts the CPU" in refusal(tmp_path, core)


def orin_nano(*, milliamperes: int = 1000) -> dict[str, object]:
    """As Jetson Linux 36 has it: three rails of one INA3221, one behind which the others hang."""
    chip = f"{HWMON}/hwmon1"
    files: dict[str, object] = {f"{HWMON}/hwmon0/name": "nvme", f"{chip}/name": "ina3221"}
    for channel, label in ((1, "VDD_IN"), (2, "VDD_CPU_GPU_CV"), (3, "VDD_SOC")):
        files |= {
            f"{chip}/in{channel}_label": label,
            f"{chip}/in{channel}_input": 5000,
            f"{chip}/in{channel}_enable": 1,
            f"{chip}/curr{channel}_input": milliamperes,
        }
    return {**files, f"{chip}/in7_label": "sum of shunt voltages", f"{chip}/in7_input": 1}


def grown(opened: EnergyMeter, joules: float) -> bool:
    """Whether the meter reaches so many joules: the rails are integrated over real time."""
    deadline = time.monotonic() + 30
    while opened.joules() < joules and time.monotonic() < deadline:
        time.sleep(0.005)
    return opened.joules() >= joules


def test_the_rail_before_all_others_counts_alone(tmp_path: Path) -> None:
    start = time.monotonic()
    with meter(tmp_path, orin_nano()) as opened:
        assert (opened.source, opened.domains) == ("rails", ("VDD_IN",))
        assert grown(opened, 0.5)
        # 5 V and 1 A: whatever the thread's turns, never more than the time that passed allows.
        assert opened.joules() <= 5.0 * (time.monotonic() - start)
    opened.close()
    ended = opened.joules()
    assert ended >= 0.5


def test_the_rails_of_a_board_without_a_common_one_are_added_up(tmp_path: Path) -> None:
    files = {}
    for chip, rails in (("hwmon2", ("VDD_GPU_SOC", "VDD_CPU_CV", "VIN_SYS_5V0")), ("hwmon3", ("NC", "VDDQ", "NC"))):
        files[f"{HWMON}/{chip}/name"] = "ina3221"
        for channel, label in enumerate(rails, 1):
            files[f"{HWMON}/{chip}/in{channel}_label"] = label
            files[f"{HWMON}/{chip}/in{channel}_input"] = "5000"
            files[f"{HWMON}/{chip}/curr{channel}_input"] = "200"
    with meter(tmp_path, files) as opened:
        assert opened.domains == ("VDDQ", "VDD_CPU_CV", "VDD_GPU_SOC", "VIN_SYS_5V0")


def test_a_monitor_of_one_rail_and_the_older_driver_of_a_jetson(tmp_path: Path) -> None:
    ina226 = {f"{HWMON}/hwmon0/name": "ina226", f"{HWMON}/hwmon0/power1_input": 3_500_000}
    with meter(tmp_path / "one", ina226) as opened:
        assert opened.domains == ("ina226 hwmon0",)
        assert grown(opened, 0.1)
    folder = "sys/bus/iio/devices/iio:device0"
    nano = {
        f"{folder}/rail_name_0": "POM_5V_IN",
        f"{folder}/in_power0_input": 2100,
        f"{folder}/rail_name_1": "POM_5V_GPU",
    }
    nano |= {f"{folder}/in_power1_input": "0 mW"}
    with meter(tmp_path / "nano", nano) as opened:
        assert opened.domains == ("POM_5V_IN",)
        assert grown(opened, 0.1)


def test_a_rail_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    files = {**orin_nano(), f"{HWMON}/hwmon1/curr3_input": "?"}
    assert "rail VDD_SOC" in refusal(tmp_path, files)
    # One that is switched off is not there.
    with meter(tmp_path, {f"{HWMON}/hwmon1/in3_enable": 0}) as opened:
        assert opened.domains == ("VDD_IN",)


def test_a_battery_counts_down_and_only_on_request(tmp_path: Path) -> None:
    files = {
        f"{SUPPLY}/AC/type": "Mains",
        f"{SUPPLY}/mouse/type": "Battery",
        f"{SUPPLY}/mouse/scope": "Device",
        f"{SUPPLY}/mouse/status": "Discharging",
        f"{SUPPLY}/BAT0/type": "Battery",
        f"{SUPPLY}/BAT0/status": "Discharging",
        f"{SUPPLY}/BAT0/energy_now": 50_000_000,
    }
    assert "battery" not in refusal(tmp_path, files)
    with meter(tmp_path, files, battery=True) as opened:
        assert (opened.source, opened.domains) == ("battery", ("BAT0",))
        assert opened.least_seconds >= 60
        write_tree(tmp_path, {f"{SUPPLY}/BAT0/energy_now": 49_990_000})
        assert opened.joules() == pytest.approx(36.0)
        write_tree(tmp_path, {f"{SUPPLY}/BAT0/energy_now": 49_999_000})  # the gauge corrects itself
        assert opened.joules() == pytest.approx(36.0)


def test_a_battery_that_tells_charge(tmp_path: Path) -> None:
    folder = f"{SUPPLY}/battery"
    files = {f"{folder}/type": "Battery", f"{folder}/status": "Discharging", f"{folder}/charge_now": 2_000_000}
    assert "does not tell its energy" in refusal(tmp_path, files, battery=True)
    with meter(tmp_path, {f"{folder}/voltage_now": 4_000_000}, battery=True) as opened:
        write_tree(tmp_path, {f"{folder}/charge_now": 1_999_000})
        assert opened.joules() == pytest.approx(14.4)  # 1 mAh at 4 V


def test_a_battery_that_is_charged_is_no_meter(tmp_path: Path) -> None:
    files = {f"{SUPPLY}/BAT0/type": "Battery", f"{SUPPLY}/BAT0/status": "Charging", f"{SUPPLY}/BAT0/energy_now": 1}
    assert "BAT0 is not discharging (Charging): unplug the machine" in refusal(tmp_path, files, battery=True)


@PARSED
@given(st.text(max_size=30), st.text(max_size=30), st.text(max_size=12))
def test_no_damage_in_the_files_raises(tmp_path: Path, number: str, name: str, status: str) -> None:
    # What text cannot be written as UTF-8 no file holds.
    number, name, status = (one.encode("utf-8", "ignore").decode() for one in (number, name, status))
    files = {
        **zone("intel-rapl:0", name, number),
        f"{HWMON}/hwmon0/name": "ina3221",
        f"{HWMON}/hwmon0/in1_label": name,
        f"{HWMON}/hwmon0/in1_input": number,
        f"{HWMON}/hwmon0/curr1_input": number,
        f"{SUPPLY}/BAT0/type": "Battery",
        f"{SUPPLY}/BAT0/status": status,
        f"{SUPPLY}/BAT0/energy_now": number,
    }
    opened = open_meter(write_tree(tmp_path, files), battery=True)
    if isinstance(opened, Unavailable):
        assert opened.reason
    else:
        with opened:
            assert opened.joules() >= 0
