"""What NVIDIA's driver tells, asked of a shared library that is compiled here and of recorded files."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from edgebert.devices.gpu import Gpu, Jetson, find_gpus, read_jetson, read_release

from .fake_cuda import build
from .trees import recording, write_tree

ORIN = Gpu("Orin", (8, 7), 8_000_000_000, integrated=True)


def test_one_integrated_gpu(tmp_path: Path) -> None:
    report = find_gpus(build(tmp_path), root=tmp_path)
    assert (report.driver, report.problem, report.cuda, report.release) == (True, None, "12.6", "")
    assert report.gpus == (ORIN,)
    assert report.jetson is None


def test_several_gpus_in_the_drivers_order(tmp_path: Path) -> None:
    library = build(
        tmp_path,
        GPUS='"NVIDIA H200","A \\xff name"',
        MAJORS="9,12",
        MINORS="0,1",
        MEMORIES="150000000000UL,6000000000UL",
        INTEGRATED="0",
    )
    assert find_gpus(library).gpus == (
        Gpu("NVIDIA H200", (9, 0), 150_000_000_000, integrated=False),
        Gpu("A \ufffd name", (12, 1), 6_000_000_000, integrated=False),
    )


def test_no_driver() -> None:
    report = find_gpus("libcuda-that-is-not-there.so.1")
    assert (report.driver, report.cuda, report.gpus) == (False, "", ())
    assert report.problem == "there is no NVIDIA driver (libcuda-that-is-not-there.so.1)"


@pytest.mark.parametrize("changes", [{"GPUS": "NULL"}, {"INIT": "100"}], ids=["count is 0", "CUDA_ERROR_NO_DEVICE"])
def test_a_driver_without_a_gpu(tmp_path: Path, changes: dict[str, str]) -> None:
    report = find_gpus(build(tmp_path, **changes))
    assert (report.driver, report.cuda, report.gpus) == (True, "12.6", ())
    assert report.problem == "the NVIDIA driver finds no GPU"


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"INIT": "999"}, "cuInit says 999 (CUDA_ERROR_UNKNOWN)"),
        ({"INIT": "34"}, "cuInit says 34"),
        ({"INIT": "999", "ERROR_NAME": "cuSomethingElse"}, "cuInit says 999"),
        ({"COUNT_CODE": "999"}, "cuDeviceGetCount says 999 (CUDA_ERROR_UNKNOWN)"),
        ({"TOTAL_MEM": "cuDeviceTotalMem"}, "the driver is too old: it has no cuDeviceTotalMem_v2"),
        ({"BEFORE_INIT": "abort()"}, "the process that asks it ended with signal 6"),
        ({"BEFORE_INIT": "_exit(0)"}, "the process that asks it ended without an answer"),
        ({"BEFORE_INIT": "_exit(7)"}, "the process that asks it ended with exit code 7"),
    ],
)
def test_a_broken_driver_is_an_answer(tmp_path: Path, changes: dict[str, str], problem: str) -> None:
    report = find_gpus(build(tmp_path, **changes))
    assert (report.driver, report.gpus) == (True, ())
    assert report.problem == f"the NVIDIA driver does not work: {problem}"


def test_a_driver_that_hangs_is_given_up(tmp_path: Path) -> None:
    report = find_gpus(build(tmp_path, BEFORE_INIT="pause()"), patience_s=2)
    assert report.problem == "the NVIDIA driver does not work: it has not answered within 2 s"


def test_a_library_that_cannot_be_loaded_is_a_driver_that_does_not_work(tmp_path: Path) -> None:
    (tmp_path / "libcuda.so.1").write_bytes(b"no ELF")
    report = find_gpus(str(tmp_path / "libcuda.so.1"))
    assert report.driver
    assert "libcuda.so.1 cannot be loaded: " in str(report.problem)


def test_a_program_without_a_python_asks_by_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    library = build(tmp_path)
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    assert find_gpus(library).gpus == (ORIN,)


def test_this_process_does_not_load_the_driver(tmp_path: Path) -> None:
    library = build(tmp_path)
    assert find_gpus(library).gpus == (ORIN,)
    assert library not in Path("/proc/self/maps").read_text()


def test_import_edgebert_looks_for_no_driver() -> None:
    code = "import sys, edgebert; print([m for m in sys.modules if m.endswith(('devices.gpu', 'libcuda'))])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


@pytest.mark.parametrize(
    ("path", "text", "release"),
    [
        ("/sys/module/nvidia/version", "540.4.0\n", "540.4.0"),
        (
            "/proc/driver/nvidia/version",
            "NVRM version: NVIDIA UNIX x86_64 Kernel Module  580.65.06  Sun Jul 27\nGCC version: gcc 13.3.0\n",
            "580.65.06",
        ),
        (
            "/proc/driver/nvidia/version",
            "NVRM version: NVIDIA UNIX Open Kernel Module for aarch64  540.4.0  Release Build  (buildbrain)\n",
            "540.4.0",
        ),
        ("/proc/driver/nvidia/version", "garbage\n", ""),
    ],
)
def test_the_drivers_release(tmp_path: Path, path: str, text: str, release: str) -> None:
    assert read_release(write_tree(tmp_path, {path: text})) == release


@pytest.mark.parametrize(
    ("line", "l4t", "jetpack"),
    [
        ("# R39 (release), REVISION: 2.0, GCID: 45000000, BOARD: generic, EABI: aarch64, DATE: T", "39.2.0", "7"),
        ("# R36 (release), REVISION: 4.3, GCID: 38968081, BOARD: generic, EABI: aarch64, DATE: W", "36.4.3", "6"),
        ("# R35 (release), REVISION: 4.1, GCID: 33958178, BOARD: t186ref, EABI: aarch64, DATE: T", "35.4.1", "5"),
        ("# R99 (release), REVISION: 2, GCID: 1", "99.2", ""),
        ("something else", "", ""),
    ],
)
def test_a_jetson(tmp_path: Path, line: str, l4t: str, jetpack: str) -> None:
    tree = write_tree(tmp_path, {**recording("jetson-orin-nano"), "/etc/nv_tegra_release": f"{line}\n"})
    assert read_jetson(tree) == Jetson("NVIDIA Jetson Orin Nano Developer Kit", l4t, jetpack)


def test_other_boards_are_no_jetson(tmp_path: Path) -> None:
    assert read_jetson(write_tree(tmp_path, recording("raspberry-pi-5"))) is None


def test_the_command_finds_the_driver_as_the_loader_does(tmp_path: Path) -> None:
    """The whole way, with the real name: ``edgebert doctor`` with the library on the loader's path."""
    build(tmp_path)
    environment = {**os.environ, "LD_LIBRARY_PATH": str(tmp_path)}
    command = [sys.executable, "-m", "edgebert", "doctor"]
    told = subprocess.run(command, env=environment, capture_output=True, text=True, check=False).stdout
    assert ", CUDA 12.6\n  GPU: Orin, compute capability 8.7, 8.0 GB shared with the CPU\n" in told
    assert "no NVIDIA driver" not in told
    done = subprocess.run([*command, "--json"], env=environment, capture_output=True, text=True, check=False)
    gpus = json.loads(done.stdout)["gpus"]
    assert gpus["gpus"] == [
        {"name": "Orin", "compute_capability": [8, 7], "memory_bytes": 8_000_000_000, "integrated": True}
    ]
    assert "a driver that prints" not in done.stdout + done.stderr
