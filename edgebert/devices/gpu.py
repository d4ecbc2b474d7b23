"""Which NVIDIA GPUs this machine has, as their driver tells; nothing of it is looked at before it is asked for."""

from __future__ import annotations

import contextlib
import json
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgebert.devices.kernel_files import read_text

DRIVER = "libcuda.so.1"
PATIENCE_S = 30.0
"""Seconds: a driver that nothing keeps loaded wakes up eight GPUs in less."""

_RELEASE = re.compile(r"[0-9]{1,5}(?:\.[0-9]{1,5}){1,3}")
_L4T = re.compile(r"# R([0-9]{1,3}) \(release\), REVISION: ([0-9]{1,3}(?:\.[0-9]{1,3})?)[,\s]")
# The major release of L4T -> that of JetPack (NVIDIA's JetPack archive).
_JETPACK = {"32": "4", "34": "5", "35": "5", "36": "6", "38": "7", "39": "7"}


@dataclass(frozen=True)
class Gpu:
    """One GPU.

    ``compute_capability`` is (major, minor), as in (8, 7) for Orin; ``memory_bytes`` the total, which an ``integrated``
    GPU, such as a Jetson's, shares with the CPU.
    """

    name: str
    compute_capability: tuple[int, int]
    memory_bytes: int
    integrated: bool


@dataclass(frozen=True)
class Jetson:
    """An NVIDIA Jetson.

    ``module`` is the board's name in the device tree, ``l4t`` the release of its system (``36.4.3``) and ``jetpack``
    the major one of JetPack (``6``); each is empty when unknown.
    """

    module: str
    l4t: str
    jetpack: str


@dataclass(frozen=True)
class GpuReport:
    """What there is to compute on with CUDA.

    ``driver`` says whether NVIDIA's driver is there. ``problem`` says why no GPU can be used and is ``None`` when one
    can. ``cuda`` is the newest CUDA that the driver serves, such as ``12.2``, and ``release`` the driver's own number,
    such as ``540.4.0``; each is empty when unknown. ``gpus`` are in CUDA's order, which ``CUDA_VISIBLE_DEVICES`` and
    ``CUDA_DEVICE_ORDER`` decide. ``jetson`` is ``None`` elsewhere.
    """

    driver: bool
    problem: str | None
    cuda: str
    release: str
    gpus: tuple[Gpu, ...]
    jetson: Jetson | None


def find_gpus(library: str = DRIVER, *, root: Path = Path("/"), patience_s: float = PATIENCE_S) -> GpuReport:
    """Ask the driver, in a process of its own; makes no CUDA context and never raises.

    The process is what keeps a driver that crashes or hangs out of this one, and lets this one fork: after ``cuInit``
    the children of a process cannot use CUDA. Only where none can be started (a frozen program, whose executable is no
    Python) does this one ask by itself.

    Args:
        library: the driver's shared library, found as the loader finds it.
        root: ``/``, or the root of a recorded tree of ``/proc``, ``/sys`` and ``/etc``.
        patience_s: seconds after which a driver that does not answer is given up.
    """
    answer = _ask(library, patience_s)
    gpus = tuple(
        Gpu(gpu["name"], (gpu["capability"][0], gpu["capability"][1]), gpu["memory"], gpu["integrated"])
        for gpu in answer["gpus"]
    )
    problem = answer["problem"]
    if not answer["driver"]:
        problem = f"there is no NVIDIA driver ({library})"
    elif problem is not None:
        problem = f"the NVIDIA driver does not work: {problem}"
    elif not gpus:
        problem = "the NVIDIA driver finds no GPU"
    return GpuReport(
        driver=answer["driver"],
        problem=problem,
        cuda=cuda_version(answer["cuda"]),
        release=read_release(root),
        gpus=gpus if problem is None else (),
        jetson=read_jetson(root),
    )


def cuda_version(number: int) -> str:
    """``12.2`` for 12020, as CUDA numbers its versions; empty for 0."""
    return f"{number // 1000}.{number % 1000 // 10}" if number else ""


def read_release(root: Path) -> str:
    """The number of the loaded NVIDIA kernel driver, as the ``/sys`` or ``/proc`` under ``root`` say; else empty."""
    known = read_text(root, "/sys/module/nvidia/version").strip()
    if not _RELEASE.fullmatch(known):
        line = read_text(root, "/proc/driver/nvidia/version").partition("\n")[0]
        known = next((word for word in line.split() if _RELEASE.fullmatch(word)), "")
    return known


def read_jetson(root: Path) -> Jetson | None:
    """The Jetson whose ``/etc`` and ``/proc`` lie under ``root``; ``None`` when it is none.

    A container sees the device tree of its host, and L4T's release only where it was given it.
    """
    module = read_text(root, "/proc/device-tree/model").split("\0")[0].strip()
    match = _L4T.match(read_text(root, "/etc/nv_tegra_release"))
    if match is None:
        return Jetson(module, "", "") if "Jetson" in module else None
    return Jetson(module, f"{match[1]}.{match[2]}", _JETPACK.get(match[1], ""))


def _ask(library: str, patience_s: float) -> dict[str, Any]:
    process = _start(library)
    if process is None:
        from edgebert.devices import libcuda

        return libcuda.ask(library)
    broken = {"driver": True, "cuda": 0, "gpus": []}
    try:
        out, _ = process.communicate(timeout=patience_s)
    except subprocess.TimeoutExpired:
        process.kill()
        # A process that hangs in the kernel does not even die: it is left to itself.
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.communicate(timeout=1)
        return {**broken, "problem": f"it has not answered within {patience_s:g} s"}
    if process.returncode:
        end = f"signal {-process.returncode}" if process.returncode < 0 else f"exit code {process.returncode}"
        return {**broken, "problem": f"the process that asks it ended with {end}"}
    try:
        answer: dict[str, Any] = json.loads(out)
    except ValueError:  # the driver ended the process, as if all were well
        return {**broken, "problem": "the process that asks it ended without an answer"}
    return answer


def _start(library: str) -> subprocess.Popen[bytes] | None:
    if not sys.executable or getattr(sys, "frozen", False):
        return None
    command = [sys.executable, "-I", "-S", str(Path(__file__).with_name("libcuda.py")), library]
    null = subprocess.DEVNULL
    try:
        return subprocess.Popen(command, stdin=null, stdout=subprocess.PIPE, stderr=null)
    except OSError:
        return None
