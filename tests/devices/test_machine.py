from __future__ import annotations

import os
import platform
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgebert.devices import KNOWN_ISA, Machine, describe_machine
from edgebert.devices.machine import read_machine

from .trees import RECORDINGS, recording, write_tree

MIB = 1 << 20


def machine(tmp_path: Path, name: str, architecture: str, **changes: str | None) -> Machine:
    """The machine of a recording; ``changes`` replace the files whose path ends in the key, None removes them."""
    files = recording(name)
    for ending, text in changes.items():
        matching = [path for path in files if path.endswith(ending.replace("__", "/"))]
        assert matching, ending
        for path in matching:
            if text is None:
                del files[path]
            else:
                files[path] = text
    return read_machine(write_tree(tmp_path, files), architecture=architecture)


def test_raspberry_pi_4(tmp_path):
    pi = machine(tmp_path, "raspberry-pi-4", "aarch64")
    assert pi == Machine(
        system="Linux",
        architecture="aarch64",
        vendor="ARM",
        model="Raspberry Pi 4 Model B Rev 1.4 (Cortex-A72)",
        isa=frozenset({"asimd"}),
        logical_cores=4,
        physical_cores=4,
        performance_cores=4,
        memory_bytes=3885396 * 1024,
        available_bytes=3420116 * 1024,
    )


def test_raspberry_pi_4_seen_by_a_32_bit_python_has_neon(tmp_path):
    assert machine(tmp_path, "raspberry-pi-4", "armv7l").isa == {"neon"}


def test_raspberry_pi_5_has_the_dot_product(tmp_path):
    pi = machine(tmp_path, "raspberry-pi-5", "aarch64")
    assert pi.model == "Raspberry Pi 5 Model B Rev 1.0 (Cortex-A76)"
    assert pi.isa == {"asimd", "asimdhp", "fphp", "asimddp"}


def test_jetson_orin(tmp_path):
    jetson = machine(tmp_path, "jetson-orin-nano", "aarch64")
    assert (jetson.vendor, jetson.physical_cores) == ("ARM", 6)
    assert jetson.model == "NVIDIA Jetson Orin Nano Developer Kit (Cortex-A78AE)"
    assert jetson.isa == {"asimd", "asimdhp", "fphp", "asimddp"}


def test_big_little_counts_the_fast_cores_by_capacity(tmp_path):
    board = machine(tmp_path, "orange-pi-5", "aarch64")
    assert (board.logical_cores, board.physical_cores, board.performance_cores) == (8, 8, 4)
    assert board.model == "Orange Pi 5 (4x Cortex-A55 + 4x Cortex-A76)"


def test_big_little_counts_the_fast_cores_by_frequency_without_capacity(tmp_path):
    assert machine(tmp_path, "orange-pi-5", "aarch64", cpu_capacity=None).performance_cores == 4


def test_big_little_bound_to_the_small_cores_has_no_slow_ones(tmp_path):
    board = machine(tmp_path, "orange-pi-5", "aarch64", status="Cpus_allowed_list:\t0-3\n")
    assert (board.logical_cores, board.performance_cores) == (4, 4)


def test_a_feature_that_one_core_lacks_does_not_count(tmp_path):
    cpuinfo = recording("orange-pi-5")["/proc/cpuinfo"].replace(" asimddp", "", 1)
    assert "asimddp" not in machine(tmp_path, "orange-pi-5", "aarch64", cpuinfo=cpuinfo).isa


def test_intel_n100(tmp_path):
    n100 = machine(tmp_path, "intel-n100", "x86_64")
    assert (n100.vendor, n100.model) == ("GenuineIntel", "Intel(R) N100")
    assert n100.isa == {"sse4_2", "avx", "avx2", "fma", "f16c", "avx_vnni"}
    assert (n100.logical_cores, n100.physical_cores, n100.performance_cores) == (4, 4, 4)
    assert (n100.memory_bytes, n100.available_bytes) == (16136488 * 1024, 14988120 * 1024)


def test_smt_siblings_count_once(tmp_path):
    athlon = machine(tmp_path, "amd-athlon-3000g", "x86_64")
    assert (athlon.vendor, athlon.logical_cores, athlon.physical_cores) == ("AuthenticAMD", 4, 2)


def test_smt_siblings_count_once_by_cpuinfo_where_sys_is_hidden(tmp_path):
    assert machine(tmp_path, "amd-athlon-3000g", "x86_64", core_cpus_list=None).physical_cores == 2


def test_affinity_to_both_threads_of_one_core_is_one_core(tmp_path):
    athlon = machine(tmp_path, "amd-athlon-3000g", "x86_64", status="Cpus_allowed_list:\t2-3\n")
    assert (athlon.logical_cores, athlon.physical_cores) == (2, 1)


def test_affinity_wider_than_the_machine_is_cut_to_the_cpus_online(tmp_path):
    # In a virtual machine the kernel may allow CPUs that could be plugged in later.
    assert machine(tmp_path, "intel-n100", "x86_64", status="Cpus_allowed_list:\t0-127\n").logical_cores == 4


def test_intel_hybrid_counts_its_performance_cores(tmp_path):
    # A Core i3-1215U: two cores with two threads each, four small cores.
    siblings = ["0-1", "0-1", "2-3", "2-3", "4", "5", "6", "7"]
    files = {f"/sys/devices/system/cpu/cpu{i}/topology/core_cpus_list": s + "\n" for i, s in enumerate(siblings)}
    files |= {
        "/sys/devices/system/cpu/online": "0-7\n",
        "/sys/devices/cpu_core/cpus": "0-3\n",
        "/sys/devices/cpu_atom/cpus": "4-7\n",
    }
    hybrid = read_machine(write_tree(tmp_path, files), architecture="x86_64")
    assert (hybrid.logical_cores, hybrid.physical_cores, hybrid.performance_cores) == (8, 6, 2)


def test_container_with_cgroup_2(tmp_path):
    inside = machine(tmp_path, "container-cgroup-2", "x86_64")
    assert (inside.logical_cores, inside.physical_cores) == (2, 2)  # 2.5 CPUs of quota, 3 of affinity
    assert inside.memory_bytes == 512 * MIB
    assert inside.available_bytes == (512 - 100 + 20) * MIB  # 20 MiB of the used ones are droppable page cache


def test_the_strictest_group_on_the_path_limits(tmp_path):
    service = machine(tmp_path, "systemd-slice-cgroup-2", "x86_64")
    assert service.logical_cores == 1  # 1.5 CPUs for the service itself
    assert service.memory_bytes == 1024 * MIB  # of the slice around it
    assert service.available_bytes == (1024 - 256 + 8) * MIB


def test_container_with_cgroup_1_and_the_hosts_paths(tmp_path):
    inside = machine(tmp_path, "container-cgroup-1", "x86_64")
    assert inside.physical_cores == 2
    assert (inside.memory_bytes, inside.available_bytes) == (1024 * MIB, (1024 - 300 + 50) * MIB)


@pytest.mark.parametrize("quota", ["max 100000\n", "-1 100000\n", "100000\n", "100000 0\n", "\n", "ten 100000\n"])
def test_no_quota_or_a_damaged_one_limits_nothing(tmp_path, quota):
    files = recording("container-cgroup-2") | {"/sys/fs/cgroup/cpu.max": quota}
    assert read_machine(write_tree(tmp_path, files), architecture="x86_64").logical_cores == 3


def test_a_quota_below_one_cpu_still_gives_one_core(tmp_path):
    files = recording("container-cgroup-2") | {"/sys/fs/cgroup/cpu.max": "20000 100000\n"}
    assert read_machine(write_tree(tmp_path, files), architecture="x86_64").physical_cores == 1


def test_an_empty_tree_still_describes_something(tmp_path):
    nothing = read_machine(tmp_path, architecture="riscv64")
    assert nothing.logical_cores >= nothing.physical_cores >= nothing.performance_cores >= 1
    assert (nothing.vendor, nothing.model, nothing.isa, nothing.memory_bytes) == ("", "", frozenset(), 0)


def test_an_unknown_arm_core_is_named_by_its_numbers(tmp_path):
    cpuinfo = "processor\t: 0\nFeatures\t: fp asimd\nCPU implementer\t: 0x51\nCPU part\t: 0x804\n"
    board = read_machine(write_tree(tmp_path, {"/proc/cpuinfo": cpuinfo}), architecture="aarch64")
    assert (board.vendor, board.model) == ("Qualcomm", "Qualcomm part 0x804")


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_damaged_kernel_files_never_raise_and_never_give_no_cores(data):
    name = data.draw(st.sampled_from([path.stem for path in sorted(RECORDINGS.glob("*.txt"))]))
    files = recording(name)
    for path in data.draw(st.sets(st.sampled_from(sorted(files)), min_size=1, max_size=4)):
        text = files[path]
        kind = data.draw(st.sampled_from(["remove", "random", "cut", "numbers"]))
        if kind == "remove":
            del files[path]
        elif kind == "random":
            files[path] = data.draw(st.binary(max_size=60)).decode("utf-8", errors="surrogateescape")
        elif kind == "cut":
            files[path] = text[: data.draw(st.integers(0, len(text)))]
        else:
            digit = data.draw(st.sampled_from("0123456789"))
            files[path] = text.replace(digit, data.draw(st.sampled_from(["", "-", "99999999999", "²", "max", ","])))
    with tempfile.TemporaryDirectory() as folder:
        architecture = data.draw(st.sampled_from(["x86_64", "aarch64", "armv7l"]))
        found = read_machine(write_tree(Path(folder), files), architecture=architecture)
    assert 1 <= found.performance_cores <= found.physical_cores <= found.logical_cores
    assert found.memory_bytes >= 0
    assert found.available_bytes >= 0
    assert found.isa <= KNOWN_ISA[architecture]


def test_this_machine():
    here = describe_machine()
    assert here.system == platform.system()
    assert 1 <= here.performance_cores <= here.physical_cores <= here.logical_cores <= (os.cpu_count() or 1)
    assert here.isa <= KNOWN_ISA.get(here.architecture, frozenset())
    assert 0 < here.available_bytes <= here.memory_bytes


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system has no CPU affinity")
def test_this_machine_within_one_cpu():
    before = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(before)})
        assert describe_machine().logical_cores == 1
    finally:
        os.sched_setaffinity(0, before)


@pytest.mark.parametrize(
    ("name", "expected"),
    [("arm64", "aarch64"), ("AMD64", "x86_64"), ("x86_64", "x86_64"), ("armv8l", "armv7l"), ("riscv64", "riscv64")],
)
def test_architecture_names_are_normalised(monkeypatch, name, expected):
    monkeypatch.setattr(platform, "machine", lambda: name)
    assert describe_machine().architecture == expected


def test_a_32_bit_python_on_a_64_bit_kernel_is_32_bit(monkeypatch):
    monkeypatch.setattr(platform, "machine", lambda: "aarch64")
    monkeypatch.setattr("sys.maxsize", 2**31 - 1)
    assert describe_machine().architecture == "armv7l"
