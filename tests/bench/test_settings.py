"""What changes speed and is neither the machine's nor the plan's."""

from __future__ import annotations

from pathlib import Path

from edgebert.bench.settings import read_settings
from tests.bench.sysfs import write_tree


def test_what_is_set_is_named(tmp_path: Path) -> None:
    files = {
        "sys/devices/system/cpu/cpufreq/policy0/scaling_governor": "performance",
        "sys/devices/system/cpu/cpufreq/policy4/scaling_governor": "schedutil",
        "sys/devices/system/cpu/cpufreq/boost": 0,
        "proc/self/status": "Name:\tpython\nCpus_allowed_list:\t4-7",
    }
    environment = {"OMP_NUM_THREADS": "4", "HOME": "/home/someone", "LD_PRELOAD": "libjemalloc.so"}
    assert read_settings(write_tree(tmp_path, files), environment) == {
        "governor": "performance, schedutil",
        "boost": "0",
        "cpus": "4-7",
        "LD_PRELOAD": "libjemalloc.so",
        "OMP_NUM_THREADS": "4",
    }


def test_what_is_not_set_is_not_there(tmp_path: Path) -> None:
    assert read_settings(tmp_path, {}) == {}
