from __future__ import annotations

import pytest

from edgebert.devices import doctor, find_runtimes
from edgebert.devices.doctor import diagnose
from edgebert.devices.gpu import Gpu, GpuReport
from edgebert.devices.machine import read_machine
from edgebert.devices.wheels import PythonHost

from .packages import install
from .trees import recording, write_tree


@pytest.fixture
def pretend(monkeypatch, tmp_path_factory):
    """Makes the doctor see another machine."""

    def change(name: str, architecture: str, python: tuple[int, int] = (3, 11)) -> None:
        tree = write_tree(tmp_path_factory.mktemp("root"), recording(name))
        seen = read_machine(tree, architecture=architecture)
        monkeypatch.setattr(doctor, "describe_machine", lambda: seen)
        monkeypatch.setattr(doctor, "this_host", lambda: PythonHost(python, "Linux", architecture, "glibc"))

    return change


def whats(diagnosis: doctor.Diagnosis) -> list[str]:
    return [problem.what for problem in diagnosis.problems]


def test_one_good_backend_is_enough(site, pretend):
    pretend("raspberry-pi-5", "aarch64")
    install(site, "onnxruntime", "1.31.1", "onnxruntime")
    found = diagnose()
    assert found.usable
    assert found.problems == ()


@pytest.mark.parametrize(
    ("name", "architecture", "python", "fix"),
    [
        ("intel-n100", "x86_64", (3, 11), 'pip install "edgebert[openvino]"'),
        ("amd-athlon-3000g", "x86_64", (3, 11), 'pip install "edgebert[onnx]"'),
        ("raspberry-pi-4", "aarch64", (3, 13), 'pip install "edgebert[tflite]"'),
        ("raspberry-pi-4", "armv7l", (3, 11), 'pip install "tflite-runtime==2.14.0" "numpy<2"'),
    ],
)
def test_no_backend_names_the_best_that_can_be_installed(site, pretend, name, architecture, python, fix):
    pretend(name, architecture, python)
    found = diagnose()
    assert not found.usable
    assert ("no usable backend", fix) in [(problem.what, problem.fix) for problem in found.problems]


def test_no_backend_and_none_to_install_says_so(site, pretend):
    pretend("raspberry-pi-4", "armv7l", (3, 13))
    fix = diagnose().problems[-1].fix
    assert "wheel" in fix
    assert not fix.startswith("pip install")


def test_two_builds_of_onnxruntime_are_a_conflict(site, pretend):
    pretend("intel-n100", "x86_64")
    install(site, "onnxruntime", "1.31.1", "onnxruntime")
    install(site, "onnxruntime-gpu", "1.31.1")
    (problem,) = diagnose().problems
    assert problem.what == "onnxruntime and onnxruntime-gpu are installed together"
    assert problem.fix == "pip uninstall -y onnxruntime onnxruntime-gpu && pip install onnxruntime-gpu"


def test_tflite_runtime_with_numpy_2_is_a_problem_with_its_fix(site, pretend):
    pretend("raspberry-pi-4", "aarch64")
    install(site, "onnxruntime", "1.31.1", "onnxruntime")
    install(site, "numpy", "2.4.6")
    install(site, "tflite-runtime", "2.14.0", "tflite_runtime.interpreter")
    (problem,) = diagnose().problems
    assert (problem.what, problem.fix) == ("tflite-runtime", 'pip install "numpy<2"')


def test_a_broken_installation_is_a_problem(site, pretend):
    pretend("raspberry-pi-4", "aarch64")
    install(site, "onnxruntime", "1.31.1", "onnxruntime")
    install(site, "openvino", "2026.4.1")
    (problem,) = diagnose().problems
    assert problem.fix == "pip install --force-reinstall openvino"


def test_an_architecture_without_artifacts_is_a_problem(site, pretend):
    pretend("intel-n100", "riscv64")
    assert "architecture riscv64" in whats(diagnose())


def test_notes_tell_what_costs_speed(site, pretend):
    pretend("orange-pi-5", "aarch64")
    assert "4 of 8 cores are fast ones: try threads=4" in diagnose().notes
    pretend("raspberry-pi-4", "aarch64")
    assert any("asimddp" in note for note in diagnose().notes)
    pretend("amd-athlon-3000g", "x86_64")
    assert any("no VNNI" in note for note in diagnose().notes)
    pretend("intel-n100", "x86_64")
    assert not any("no VNNI" in note for note in diagnose().notes)


def test_notes_tell_which_extras_cannot_be_installed(site, pretend):
    pretend("raspberry-pi-5", "aarch64")
    (note,) = [note for note in diagnose().notes if "cannot be installed" in note]
    assert note.startswith("the extra [convert] cannot be installed here: there are no litert-converter wheels")


def test_openvino_telemetry_is_only_noted(site, pretend):
    pretend("intel-n100", "x86_64")
    install(site, "openvino", "2026.4.1", "openvino")
    install(site, "openvino-telemetry", "2025.2.0")
    found = diagnose()
    assert found.problems == ()
    assert any("openvino-telemetry" in note for note in found.notes)


def test_this_machine():
    found = diagnose()
    assert found.usable is any(runtime.problem is None for runtime in found.runtimes)
    assert ("no usable backend" in whats(found)) is not found.usable


def test_a_sandbox_that_hides_the_cpus_from_litert_is_a_problem(site, pretend, monkeypatch):
    pretend("raspberry-pi-4", "aarch64")
    install(site, "ai-edge-litert", "2.3.0", "ai_edge_litert.interpreter")
    monkeypatch.setattr(doctor, "read_text", lambda root, path: "0-3\n")
    assert diagnose().problems == ()
    monkeypatch.setattr(doctor, "read_text", lambda root, path: "")
    (problem,) = diagnose().problems
    assert "/sys/devices/system/cpu/possible" in problem.what
    assert "XNNPACK" in problem.why


def test_without_a_driver_only_tensorrt_says_so(site, pretend, monkeypatch):
    pretend("intel-n100", "x86_64")
    install(site, "tensorrt", "10.3.0", "tensorrt")
    absent = GpuReport(False, "there is no NVIDIA driver (libcuda.so.1)", "", "", (), None)
    monkeypatch.setattr(doctor, "find_gpus", lambda: absent)
    found = diagnose()
    assert found.gpus is None
    assert not found.usable
    said = {runtime.distribution: runtime.problem or "" for runtime in found.runtimes}
    assert said.pop("tensorrt") == "there is no NVIDIA driver (libcuda.so.1)"
    assert not any("NVIDIA" in text for text in [*said.values(), *found.notes, *whats(found)])
    # To install it again would not help.
    assert "tensorrt" not in whats(found)


def test_with_a_gpu_tensorrt_is_told_as_it_is(site, pretend, monkeypatch):
    pretend("jetson-orin-nano", "aarch64")
    gpu = GpuReport(True, None, "12.6", "540.4.0", (Gpu("Orin", (8, 7), 8 * 10**9, integrated=True),), None)
    monkeypatch.setattr(doctor, "find_gpus", lambda: gpu)
    found = diagnose()
    assert found.gpus == gpu
    (tensorrt,) = [runtime for runtime in found.runtimes if runtime.backend == "tensorrt"]
    assert (tensorrt,) == tuple(find_runtimes("tensorrt"))
    monkeypatch.setattr(doctor, "find_gpus", lambda: GpuReport(True, "finds no GPU", "", "", (), None))
    (tensorrt,) = [runtime for runtime in diagnose().runtimes if runtime.backend == "tensorrt"]
    assert tensorrt.problem == "tensorrt is not installed, and finds no GPU"
