from __future__ import annotations

import subprocess
import sys

import pytest

from edgebert.bundle.schema import BACKENDS
from edgebert.devices import find_runtimes
from edgebert.devices.wheels import PythonHost, install_line, this_host, why_not_installable
from edgebert.errors import BackendError

from .packages import install


def summary(backend: str) -> list[tuple[str, str | None, bool]]:
    return [(item.distribution, item.version, item.problem is None) for item in find_runtimes(backend)]


def test_nothing_installed_names_one_runtime_per_choice(site):
    assert [(item.backend, item.distribution) for item in find_runtimes()] == [
        ("onnx", "onnxruntime"),
        ("openvino", "openvino"),
        ("tflite", "ai-edge-litert"),
        ("tflite", "tflite-runtime"),
        ("tensorrt", "tensorrt"),
    ]
    assert all(
        item.version is None and item.problem == f"{item.distribution} is not installed" for item in find_runtimes()
    )


def test_every_backend_of_the_format_is_known():
    assert {item.backend for item in find_runtimes()} == set(BACKENDS)


def test_an_installed_runtime_is_found_without_importing_it(site):
    install(site, "onnxruntime", "1.31.1", "onnxruntime")
    install(site, "ai-edge-litert", "2.3.0", "ai_edge_litert.interpreter")
    assert summary("onnx") == [("onnxruntime", "1.31.1", True)]
    assert summary("tflite")[0] == ("ai-edge-litert", "2.3.0", True)


@pytest.mark.parametrize("build", ["onnxruntime-gpu", "onnxruntime-openvino"])
def test_other_builds_of_onnxruntime_serve_the_same_backend(site, build):
    install(site, build, "1.24.1", "onnxruntime")
    assert summary("onnx") == [(build, "1.24.1", True)]


def test_both_tflite_runtimes_come_in_order_of_preference(site):
    install(site, "tflite-runtime", "2.14.0", "tflite_runtime.interpreter")
    install(site, "ai-edge-litert", "2.3.0", "ai_edge_litert.interpreter")
    assert summary("tflite") == [("ai-edge-litert", "2.3.0", True), ("tflite-runtime", "2.14.0", True)]


@pytest.mark.parametrize(("numpy", "usable"), [("1.26.4", True), ("2.0.0", False), ("2.4.6", False)])
def test_tflite_runtime_needs_numpy_1(site, numpy, usable):
    install(site, "numpy", numpy)
    install(site, "tflite-runtime", "2.14.0", "tflite_runtime.interpreter")
    found = find_runtimes("tflite")[1]
    assert (found.problem is None) is usable
    assert usable or f"numpy {numpy} is installed" in str(found.problem)


def test_a_package_without_its_module_is_broken(site):
    install(site, "openvino", "2026.4.1")
    (found,) = find_runtimes("openvino")
    assert found.version == "2026.4.1"
    assert "module openvino is missing" in str(found.problem)


def test_a_leftover_folder_is_not_a_module(site):
    install(site, "openvino", "2026.4.1")
    (site / "openvino" / "__pycache__").mkdir(parents=True)
    assert "module openvino is missing" in str(find_runtimes("openvino")[0].problem)


def test_a_package_that_lost_a_submodule_is_broken(site):
    install(site, "ai-edge-litert", "2.3.0", "ai_edge_litert.interpreter")
    (site / "ai_edge_litert" / "interpreter.py").unlink()
    assert "module ai_edge_litert.interpreter is missing" in str(find_runtimes("tflite")[0].problem)


def test_a_module_without_a_package_has_no_version_to_trust(site):
    (site / "onnxruntime.py").write_text("raise AssertionError('the backend was imported')")
    (found,) = find_runtimes("onnx")
    assert found.version is None
    assert "version is unknown" in str(found.problem)


@pytest.mark.parametrize("metadata", ["", "Name: openvino\n", "\x00\xff"])
def test_damaged_metadata_is_a_problem_not_a_crash(site, metadata):
    install(site, "openvino", "2026.4.1", "openvino", metadata=metadata)
    (found,) = find_runtimes("openvino")
    assert found.version is None
    assert "install it again" in str(found.problem)


def test_an_unknown_backend_is_refused_with_the_known_ones():
    with pytest.raises(BackendError, match=r"no backend 'coreml'.*onnx, openvino, tflite, tensorrt"):
        find_runtimes("coreml")


def test_the_real_packages_are_found_without_importing_them():
    code = (
        "import sys; from edgebert.devices import find_runtimes; found = find_runtimes();"
        "print([name for name in sys.modules if name.split('.')[0] in"
        " ('onnxruntime', 'openvino', 'ai_edge_litert', 'tflite_runtime', 'tensorrt')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def host(python: tuple[int, int], architecture: str, libc: str = "glibc") -> PythonHost:
    return PythonHost(python, "Linux", architecture, libc)


@pytest.mark.parametrize(
    ("distribution", "on", "expected"),
    [
        ("onnxruntime", host((3, 11), "aarch64"), 'pip install "edgebert[onnx]"'),
        ("ai-edge-litert", host((3, 13), "x86_64"), 'pip install "edgebert[tflite]"'),
        ("openvino", host((3, 10), "x86_64"), 'pip install "edgebert[openvino]"'),
        ("tflite-runtime", host((3, 11), "armv7l"), 'pip install "tflite-runtime==2.14.0" "numpy<2"'),
        ("tensorrt", host((3, 10), "aarch64"), "sudo apt-get install python3-libnvinfer  # from NVIDIA JetPack"),
        ("openvino", host((3, 11), "armv7l"), "there are no openvino wheels for Linux on armv7l"),
        ("onnxruntime", host((3, 11), "x86_64", "musl"), "there are no onnxruntime wheels for musl, the C library"),
        ("ai-edge-litert", host((3, 13), "aarch64", "bionic"), "there are no ai-edge-litert wheels for bionic"),
        ("ai-edge-litert", host((3, 15), "x86_64"), "no ai-edge-litert wheel is known for Python 3.15"),
        ("tflite-runtime", host((3, 12), "x86_64"), "no tflite-runtime wheel is known for Python 3.12"),
        ("litert-converter", host((3, 12), "aarch64"), "there are no litert-converter wheels for Linux on aarch64"),
    ],
)
def test_the_install_line_is_one_that_works_there_or_says_why_none_does(distribution, on, expected):
    line = install_line(distribution, on)
    assert line.startswith(expected)
    if distribution != "tensorrt":
        assert (why_not_installable(distribution, on) is None) is line.startswith("pip install")


def test_this_host_is_the_running_python():
    assert this_host().python == sys.version_info[:2]
