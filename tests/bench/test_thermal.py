"""Heat and throttling, on made-up machines."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgebert.bench.report import ThermalState
from edgebert.bench.thermal import signs_of_throttling, thermal_state, untold
from tests.bench.sysfs import write_tree

CPUFREQ = "sys/devices/system/cpu/cpufreq"
THERMAL = "sys/class/thermal"
NOTHING = ThermalState({}, {}, {}, {})


def state(**changes: dict[str, float] | dict[str, int]) -> ThermalState:
    return replace(NOTHING, **changes)  # type: ignore[arg-type]


def test_a_board_tells_temperatures_and_clocks(tmp_path: Path) -> None:
    files = {
        f"{THERMAL}/thermal_zone0/type": "cpu-thermal",
        f"{THERMAL}/thermal_zone0/temp": 48_312,
        f"{THERMAL}/thermal_zone1/type": "gpu-thermal",
        f"{THERMAL}/thermal_zone1/temp": -256_000,  # switched off
        f"{THERMAL}/thermal_zone2/type": "cpu-thermal",
        f"{THERMAL}/thermal_zone2/temp": 50_000,
        f"{CPUFREQ}/policy0/scaling_cur_freq": 1_800_000,
        f"{CPUFREQ}/policy0/scaling_max_freq": 1_800_000,
        f"{CPUFREQ}/policy4/scaling_cur_freq": 2_400_000,
        f"{CPUFREQ}/policy4/scaling_max_freq": 2_400_000,
    }
    found = thermal_state(write_tree(tmp_path, files))
    assert found.temperatures_c == {"cpu-thermal": 48.312, "cpu-thermal 2": 50.0}
    assert found.frequencies_mhz == {"policy0": 1800.0, "policy4": 2400.0}
    assert found.limits_mhz == found.frequencies_mhz
    assert untold(found) == {}


def test_the_sensors_of_a_cpu(tmp_path: Path) -> None:
    chip = "sys/class/hwmon/hwmon2"
    files = {
        f"{chip}/name": "coretemp",
        f"{chip}/temp1_input": 61_000,
        f"{chip}/temp1_label": "Package id 0",
        f"{chip}/temp2_input": 60_000,
        f"{chip}/temp2_label": "Core 0",
        "sys/class/hwmon/hwmon3/name": "nvme",
        "sys/class/hwmon/hwmon3/temp1_input": 30_000,
    }
    assert thermal_state(write_tree(tmp_path, files)).temperatures_c == {"coretemp Package id 0": 61.0}


def test_everything_that_tells_of_throttling(tmp_path: Path) -> None:
    cpu = "sys/devices/system/cpu"
    files = {
        f"{cpu}/cpu0/thermal_throttle/core_throttle_count": 3,
        f"{cpu}/cpu1/thermal_throttle/core_throttle_count": 4,
        f"{cpu}/cpu0/thermal_throttle/package_throttle_count": 1,
        f"{THERMAL}/cooling_device0/type": "thermal-cpufreq-0",
        f"{THERMAL}/cooling_device0/cur_state": 2,
        f"{THERMAL}/cooling_device1/type": "pwm-fan",
        f"{THERMAL}/cooling_device1/cur_state": 3,
        f"{THERMAL}/cooling_device2/type": "intel_powerclamp",
        f"{THERMAL}/cooling_device2/cur_state": -1,
        "sys/class/hwmon/hwmon4/name": "soctherm_oc",
        "sys/class/hwmon/hwmon4/oc1_event_cnt": 5,
        "sys/class/hwmon/hwmon4/oc1_throt_en": 1,
        "sys/class/hwmon/hwmon5/name": "rpi_volt",
        "sys/class/hwmon/hwmon5/in0_lcrit_alarm": 1,
        "sys/devices/platform/soc/soc:firmware/get_throttled": "50005",
    }
    assert thermal_state(write_tree(tmp_path, files)).throttling == {
        "count:core_throttle_count": 7,
        "count:package_throttle_count": 1,
        "count:oc1_event_cnt": 5,
        "cooling:thermal-cpufreq-0": 2,
        "cooling:intel_powerclamp": 0,
        "alarm:rpi_volt": 1,
        "flags:get_throttled": 0x50005,
    }


def test_a_machine_that_tells_nothing(tmp_path: Path) -> None:
    assert thermal_state(tmp_path) == NOTHING
    assert set(untold(NOTHING)) == {"temperature", "frequency", "throttling"}
    # Clocks alone let throttling be seen.
    assert set(untold(state(frequencies_mhz={"policy0": 1000.0}))) == {"temperature"}
    assert set(untold(state(throttling={"count:x": 0}))) == {"temperature", "frequency"}


def test_a_clock_that_falls_under_load() -> None:
    before = state(frequencies_mhz={"policy0": 1800.0, "policy4": 2400.0})
    assert signs_of_throttling(before, state(frequencies_mhz={"policy0": 800.0, "policy4": 2300.0})) == ()
    [sign] = signs_of_throttling(before, state(frequencies_mhz={"policy0": 1800.0, "policy4": 1500.0}))
    assert sign == "the highest clock fell from 2400 to 1800 MHz"
    assert signs_of_throttling(before, NOTHING) == ()


def test_a_limit_that_is_lowered() -> None:
    before, after = state(limits_mhz={"policy0": 1800.0}), state(limits_mhz={"policy0": 1500.0})
    assert signs_of_throttling(before, after) == ("the clock of policy0 was limited from 1800 to 1500 MHz",)
    assert signs_of_throttling(after, before) == ()


@pytest.mark.parametrize(
    ("name", "before", "after", "sign"),
    [
        ("count:core_throttle_count", 3, 9, "core_throttle_count rose by 6"),
        ("count:core_throttle_count", 9, 9, None),
        ("cooling:thermal-cpufreq-0", 0, 2, "thermal-cpufreq-0 slows the processor down (state 0, then 2)"),
        ("cooling:thermal-cpufreq-0", 1, 0, "(state 1, then 0)"),
        ("cooling:thermal-cpufreq-0", 0, 0, None),
        ("alarm:rpi_volt", 0, 1, "rpi_volt says that the supply voltage is too low"),
        ("flags:get_throttled", 0x0, 0x0, None),
        ("flags:get_throttled", 0x50000, 0x50000, None),  # long ago
        ("flags:get_throttled", 0x50000, 0x50005, "get_throttled says: under-voltage, throttling"),
        ("flags:get_throttled", 0x0, 0x80000, "get_throttled says: soft temperature limit"),  # in between
        ("flags:get_throttled", 0x2, 0x20000, "get_throttled says: capped clock"),
    ],
)
def test_counters_and_flags(name: str, before: int, after: int, sign: str | None) -> None:
    signs = signs_of_throttling(state(throttling={name: before}), state(throttling={name: after}))
    assert len(signs) == (sign is not None)
    assert sign is None or sign in signs[0]


def test_what_is_told_only_once_is_no_sign() -> None:
    assert signs_of_throttling(NOTHING, state(throttling={"count:x": 9}, limits_mhz={"policy0": 1.0})) == ()


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.text(max_size=24), st.text(max_size=24))
def test_no_damage_in_the_files_raises(tmp_path: Path, one: str, other: str) -> None:
    one, other = (text.encode("utf-8", "ignore").decode() for text in (one, other))
    names = ("type", "temp", "cur_state", "name", "temp1_input", "in0_lcrit_alarm", "oc1_event_cnt")
    folders = (f"{THERMAL}/thermal_zone0", f"{THERMAL}/cooling_device0", "sys/class/hwmon/hwmon0")
    files: dict[str, object] = {f"{folder}/{name}": one for folder in folders for name in names}
    files |= {f"{folder}/type": other for folder in folders}
    files |= {f"{CPUFREQ}/policy0/{name}": other for name in ("scaling_cur_freq", "scaling_max_freq")}
    files["sys/devices/platform/soc/soc:firmware/get_throttled"] = other
    found = thermal_state(write_tree(tmp_path, files))
    assert all(-50 < value < 200 for value in found.temperatures_c.values())
    assert all(value > 0 for value in found.frequencies_mhz.values())
    assert isinstance(signs_of_throttling(found, found), tuple)
