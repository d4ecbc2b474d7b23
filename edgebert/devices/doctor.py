"""What stands in the way of running bundles on this machine, and the line that removes it."""

from __future__ import annotations

import importlib
from dataclasses import dataclass, replace
from pathlib import Path

from edgebert.devices.backends import Runtime, find_runtimes, installed_version
from edgebert.devices.gpu import GpuReport, find_gpus
from edgebert.devices.isa import KNOWN_ISA
from edgebert.devices.kernel_files import read_text
from edgebert.devices.machine import Machine, describe_machine
from edgebert.devices.wheels import PythonHost, install_line, this_host, why_not_installable

_EXTRAS = {
    "onnx": ("onnxruntime",),
    "openvino": ("openvino",),
    "tflite": ("ai-edge-litert", "tflite-runtime"),
    "convert": ("litert-converter",),
}


@dataclass(frozen=True)
class Problem:
    """Something that is wrong: ``what`` names it, ``why`` says what follows, ``fix`` is the line or step to take."""

    what: str
    why: str
    fix: str


@dataclass(frozen=True)
class Diagnosis:
    """This machine, its runtimes in order of preference, what is wrong, and what is only worth knowing.

    ``gpus`` is ``None`` where there is no NVIDIA driver; then only the runtime that needs one says so.
    """

    machine: Machine
    runtimes: tuple[Runtime, ...]
    problems: tuple[Problem, ...]
    notes: tuple[str, ...]
    gpus: GpuReport | None

    @property
    def usable(self) -> bool:
        """Whether at least one backend can be used."""
        return any(runtime.problem is None for runtime in self.runtimes)


def diagnose() -> Diagnosis:
    """Look at this machine and its installed packages; imports no backend and never raises."""
    machine, host, installed, gpus = describe_machine(), this_host(), tuple(find_runtimes()), find_gpus()
    runtimes = tuple(_with_gpu(runtime, gpus) for runtime in installed)
    problems = [
        *_architecture(machine, host),
        *_broken_runtimes(installed),
        *_conflicts(),
        *_no_backend(machine, runtimes, host),
        *_hidden_topology(machine, runtimes, Path("/")),
    ]
    notes = (*_speed_notes(machine), *_tokenizer_notes(), *_package_notes(host))
    return Diagnosis(machine, runtimes, tuple(problems), notes, gpus if gpus.driver else None)


def _with_gpu(runtime: Runtime, gpus: GpuReport) -> Runtime:
    if runtime.backend != "tensorrt" or gpus.problem is None:
        return runtime
    problem = f"{runtime.problem}, and {gpus.problem}" if runtime.problem else gpus.problem
    return replace(runtime, problem=problem, install="an NVIDIA GPU with a working driver comes first")


def _architecture(machine: Machine, host: PythonHost) -> list[Problem]:
    if machine.architecture not in KNOWN_ISA:
        return [
            Problem(
                f"architecture {machine.architecture}",
                f"artifacts are built for {', '.join(KNOWN_ISA)} only",
                "use a 64-bit system and Python" if machine.architecture == "i686" else "use another machine",
            )
        ]
    if machine.architecture == "armv7l":
        return [
            Problem(
                "32-bit ARM Python",
                f"only tflite-runtime is built for it ({install_line('tflite-runtime', host)}), without XNNPACK",
                "install the 64-bit edition of the operating system if the CPU is a Cortex-A53 or later",
            )
        ]
    return []


def _broken_runtimes(runtimes: tuple[Runtime, ...]) -> list[Problem]:
    # A backend that is simply absent is no fault: one is enough, and the list of runtimes shows the others.
    broken = [item for item in runtimes if item.problem and not item.problem.endswith("is not installed")]
    problems = []
    for item in broken:
        fix = f"pip install --force-reinstall {item.distribution}"
        if item.distribution == "tflite-runtime" and "numpy" in (item.problem or ""):
            fix = 'pip install "numpy<2"'
        problems.append(Problem(item.distribution, item.problem or "", fix))
    return problems


def _conflicts() -> list[Problem]:
    builds = [name for name in ("onnxruntime", "onnxruntime-gpu", "onnxruntime-openvino") if installed_version(name)]
    if len(builds) < 2:
        return []
    return [
        Problem(
            " and ".join(builds) + " are installed together",
            "they write the same files: the one installed last runs, and removing either breaks the other",
            f"pip uninstall -y {' '.join(builds)} && pip install {builds[-1]}",
        )
    ]


def _no_backend(machine: Machine, runtimes: tuple[Runtime, ...], host: PythonHost) -> list[Problem]:
    if any(runtime.problem is None for runtime in runtimes):
        return []
    if machine.vendor == "GenuineIntel":
        order = ["openvino", "onnxruntime", "ai-edge-litert"]
    elif machine.architecture == "aarch64":
        order = ["ai-edge-litert", "onnxruntime", "tflite-runtime"]
    else:
        order = ["onnxruntime", "ai-edge-litert", "tflite-runtime"]
    possible = [name for name in order if why_not_installable(name, host) is None]
    fix = install_line(possible[0], host) if possible else f"{why_not_installable(order[0], host)}: use another Python"
    return [Problem("no usable backend", "nothing can run an artifact", fix)]


def _hidden_topology(machine: Machine, runtimes: tuple[Runtime, ...], root: Path) -> list[Problem]:
    # Without these two files LiteRT's CPU detection fails and XNNPACK is dropped without an error: seen on aarch64.
    if machine.system != "Linux" or not any(item.backend == "tflite" and item.problem is None for item in runtimes):
        return []
    folder = "/sys/devices/system/cpu"
    hidden = [f"{folder}/{name}" for name in ("possible", "present") if not read_text(root, f"{folder}/{name}")]
    if not hidden:
        return []
    return [
        Problem(
            f"{' and '.join(hidden)} cannot be read",
            "LiteRT then runs without XNNPACK, many times slower, and does not say so",
            "let the container or sandbox read /sys/devices/system/cpu; then `edgebert verify` tells that XNNPACK runs",
        )
    ]


def _speed_notes(machine: Machine) -> list[str]:
    notes = []
    if machine.architecture == "x86_64" and not machine.isa & {"avx_vnni", "avx512_vnni"}:
        notes.append("no VNNI: int8 runs through 16-bit products, so it gains less here, and needs 7-bit weights")
    if machine.architecture == "aarch64" and "asimddp" not in machine.isa:
        notes.append("no int8 dot product (asimddp): int8 gains less here than on a Cortex-A55, A76 or later")
    if 1 < machine.performance_cores < machine.physical_cores:
        notes.append(
            f"{machine.performance_cores} of {machine.physical_cores} cores are fast ones: "
            f"try threads={machine.performance_cores}"
        )
    return notes


def _tokenizer_notes() -> list[str]:
    try:
        # Only trying tells of a library that does not load, and it costs little.
        importlib.import_module("tokenizers")
    except ImportError as error:
        return [
            f"tokenizers cannot be imported ({error}): a tokenizer in Python alone takes its place, "
            "with the same tokens, slower"
        ]
    return []


def _package_notes(host: PythonHost) -> list[str]:
    notes = []
    for extra, distributions in _EXTRAS.items():
        reasons = [why_not_installable(name, host) for name in distributions]
        if all(reasons):
            notes.append(f"the extra [{extra}] cannot be installed here: {reasons[0]}")
    if installed_version("openvino-telemetry") is not None:
        notes.append("openvino-telemetry is installed: a dependency of OpenVINO's conversion tools, not of inference")
    return notes
