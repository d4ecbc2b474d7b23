"""Which artifact runs where."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from edgebert.bundle import Manifest, Profile, Requires
from edgebert.devices import Machine, Runtime
from edgebert.devices.gpu import Gpu, GpuReport
from edgebert.errors import SelectionError
from edgebert.runtime.selection import Candidate, Configuration, Measured, rank
from tests.bundle import samples


def machine(architecture: str = "x86_64", vendor: str = "AuthenticAMD", isa: tuple[str, ...] = ("avx2",)) -> Machine:
    return Machine("Linux", architecture, vendor, "a CPU", frozenset(isa), 4, 2, 2, 2**33, 2**32)


def runtime(distribution: str, version: str | None = "2.0", problem: str | None = None) -> Runtime:
    backend = {"onnxruntime": "onnx", "openvino": "openvino"}.get(distribution, "tflite")
    if version is None:
        problem = "it is not installed"
    return Runtime(backend, distribution, distribution, version, problem, f"pip install {distribution}")


EVERYTHING = [runtime(name) for name in ("onnxruntime", "openvino", "ai-edge-litert", "tflite-runtime")]


def manifest(*profiles: Profile, **requires: Requires) -> Manifest:
    """onnx-fp32, openvino-int8, tflite-int8, with these profiles and requirements by backend."""
    whole = samples.manifest(profiles=profiles)
    artifacts = [replace(a, requires=requires.get(a.backend, a.requires)) for a in whole.artifacts]
    return replace(whole, artifacts=tuple(artifacts))


def profile(target: str, order: str, architectures: tuple[str, ...] = (), vendor: str | None = None) -> Profile:
    return Profile(target, architectures, vendor, tuple(order.split()))


def ids(candidates: list[Candidate]) -> list[str]:
    return [candidate.artifact.id for candidate in candidates]


def only(candidates: list[Candidate], artifact_id: str) -> Candidate:
    [found] = [candidate for candidate in candidates if candidate.artifact.id == artifact_id]
    return found


def test_without_a_profile_the_order_is_that_of_the_manifest() -> None:
    candidates = rank(manifest(), machine(), EVERYTHING)
    assert ids(candidates) == ["onnx-fp32", "openvino-int8", "tflite-int8"]
    assert all(c.reason is None and c.profile is None and c.runtime is not None for c in candidates)


def test_the_most_specific_profile_comes_first() -> None:
    anything = profile("any", "onnx-fp32")
    x86 = profile("x86-cpu", "tflite-int8", ("x86_64",))
    intel = profile("intel-cpu", "openvino-int8", ("x86_64",), "GenuineIntel")
    arm = profile("arm64-linux", "tflite-int8 openvino-int8", ("aarch64",))
    bundle = manifest(anything, x86, arm, intel)
    on_intel = rank(bundle, machine(vendor="GenuineIntel"), EVERYTHING)
    assert ids(on_intel) == ["openvino-int8", "tflite-int8", "onnx-fp32"]
    assert [c.profile.target for c in on_intel if c.profile] == ["intel-cpu", "x86-cpu", "any"]
    assert ids(rank(bundle, machine(), EVERYTHING)) == ["tflite-int8", "onnx-fp32", "openvino-int8"]
    assert ids(rank(bundle, machine("aarch64", "ARM"), EVERYTHING)) == ["tflite-int8", "openvino-int8", "onnx-fp32"]
    assert ids(rank(bundle, machine("riscv64", ""), EVERYTHING)) == ["onnx-fp32", "openvino-int8", "tflite-int8"]


def test_a_vendor_profile_needs_its_architecture_too() -> None:
    intel = profile("intel-cpu", "openvino-int8", ("x86_64",), "GenuineIntel")
    assert ids(rank(manifest(intel), machine("i686", "GenuineIntel"), EVERYTHING))[0] == "onnx-fp32"


@pytest.mark.parametrize(
    ("pins", "expected"),
    [
        ({"artifact": "tflite-int8"}, ["tflite-int8"]),
        ({"backend": "openvino"}, ["openvino-int8"]),
        ({"precision": "int8"}, ["openvino-int8", "tflite-int8"]),
        ({"precision": "int8", "backend": "tflite"}, ["tflite-int8"]),
    ],
)
def test_pins_narrow_the_choice(pins: dict[str, str], expected: list[str]) -> None:
    assert ids(rank(manifest(), machine(), EVERYTHING, **pins)) == expected


@pytest.mark.parametrize(
    ("pins", "named"),
    [
        ({"artifact": "onnx-int4"}, ["artifact 'onnx-int4'", "onnx-fp32, openvino-int8, tflite-int8"]),
        ({"backend": "tensorrt"}, ["backend 'tensorrt'", "onnx, openvino, tflite"]),
        ({"precision": "fp16"}, ["precision 'fp16'", "fp32, int8."]),
        ({"backend": "onnx", "precision": "int8"}, ["backend='onnx', precision='int8'", "onnx-fp32"]),
    ],
)
def test_a_pin_that_the_bundle_lacks_names_what_there_is(pins: dict[str, str], named: list[str]) -> None:
    with pytest.raises(SelectionError) as caught:
        rank(manifest(), machine(), EVERYTHING, **pins)
    assert named[0] in caught.value.message
    assert named[1] in caught.value.hint


@pytest.mark.parametrize(
    ("requires", "reason"),
    [
        ({"architectures": ("aarch64", "armv7l")}, "architecture aarch64 or armv7l; this is x86_64"),
        ({"isa": ("avx2", "avx512_vnni", "amx_int8")}, "needs a CPU with avx512_vnni, amx_int8"),
        ({"accelerator": "npu"}, "needs the accelerator npu, which this EdgeBERT cannot use"),
    ],
)
def test_hardware_that_is_missing_is_named(requires: dict[str, Any], reason: str) -> None:
    needs = replace(Requires((), (), {}), **requires)
    candidate = only(rank(manifest(openvino=needs), machine(), EVERYTHING), "openvino-int8")
    assert candidate.runtime is None
    assert reason in str(candidate.reason)
    assert candidate.install == ""


def test_any_one_runtime_suffices() -> None:
    needs = Requires((), (), {"ai-edge-litert": "1.0", "tflite-runtime": "2.14"})
    old = [runtime("ai-edge-litert", None), runtime("tflite-runtime", "2.14.0")]
    chosen = only(rank(manifest(tflite=needs), machine(), old), "tflite-int8")
    assert chosen.runtime is old[1]
    both = [runtime("ai-edge-litert", "1.0"), runtime("tflite-runtime", "2.14.0")]
    assert only(rank(manifest(tflite=needs), machine(), both), "tflite-int8").runtime is both[0]


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        ([], "needs onnxruntime >= 1.20; not installed"),
        ([runtime("onnxruntime", None)], "needs onnxruntime >= 1.20; not installed"),
        ([runtime("onnxruntime", "1.19.2")], "needs onnxruntime >= 1.20; onnxruntime 1.19.2: too old"),
        ([runtime("onnxruntime", "1.21", "numpy 1 is missing")], "onnxruntime 1.21: numpy 1 is missing"),
    ],
)
def test_a_runtime_that_does_not_do_is_named_with_the_reason(found: list[Runtime], reason: str) -> None:
    needs = Requires((), (), {"onnxruntime": "1.20"})
    candidate = only(rank(manifest(onnx=needs), machine(), found), "onnx-fp32")
    assert candidate.runtime is None
    assert str(candidate.reason).endswith(reason)
    assert candidate.install == ("pip install onnxruntime" if found else "")


def test_a_runtime_of_another_distribution_does_not_do() -> None:
    needs = Requires((), (), {"ai-edge-litert": "1.0"})
    found = [runtime("ai-edge-litert", None), runtime("tflite-runtime", "2.14.0")]
    candidate = only(rank(manifest(tflite=needs), machine(), found), "tflite-int8")
    assert candidate.runtime is None
    assert "tflite-runtime 2.14.0: not enough for this artifact" in str(candidate.reason)
    assert candidate.install == "pip install ai-edge-litert"


NO_DRIVER = GpuReport(False, "there is no NVIDIA driver (libcuda.so.1)", "", "", (), None)
NO_GPU = GpuReport(True, "the NVIDIA driver finds no GPU", "12.6", "540.4.0", (), None)
ORIN = GpuReport(True, None, "12.6", "540.4.0", (Gpu("Orin", (8, 7), 8 * 10**9, integrated=True),), None)


def for_cuda(*architectures: str) -> Manifest:
    """Two TensorRT artifacts alone."""
    first = samples.manifest().artifacts[0]
    needs = Requires(architectures, (), {"tensorrt": "8.6"}, accelerator="cuda")
    ids = ("tensorrt-fp16", "tensorrt-int8")
    artifacts = tuple(replace(first, id=name, backend="tensorrt", requires=needs) for name in ids)
    return replace(samples.manifest(profiles=()), artifacts=artifacts)


@pytest.mark.parametrize(
    ("report", "reason"),
    [
        (NO_DRIVER, "needs an NVIDIA GPU; there is no NVIDIA driver (libcuda.so.1)"),
        (NO_GPU, "needs an NVIDIA GPU; the NVIDIA driver finds no GPU"),
        (ORIN, "needs tensorrt >= 8.6; not installed"),
    ],
    ids=["no driver", "no GPU", "a GPU"],
)
def test_what_is_missing_for_cuda_is_named(report: GpuReport, reason: str) -> None:
    candidates = rank(for_cuda(), machine(), EVERYTHING, find_gpus=lambda: report)
    assert [(c.runtime, c.reason, c.install) for c in candidates] == [(None, reason, "")] * 2


def test_the_driver_is_asked_once_and_only_when_a_gpu_is_required() -> None:
    asked = []

    def find_gpus() -> GpuReport:
        asked.append(1)
        return NO_DRIVER

    rank(manifest(), machine(), EVERYTHING, find_gpus=find_gpus)
    rank(for_cuda("aarch64"), machine("x86_64"), EVERYTHING, find_gpus=find_gpus)
    assert asked == []
    rank(for_cuda(), machine(), EVERYTHING, find_gpus=find_gpus)
    assert asked == [1]


PI = machine("aarch64", "ARM", ("asimd", "asimddp"))
FOR_PI = Profile("arm64-linux", ("aarch64",), None, ("tflite-int8", "onnx-fp32"), isa=("asimd",), memory_mb=900)
FOR_ORIN = Profile(
    "jetson-orin", ("aarch64",), None, ("onnx-fp32", "tflite-int8"), isa=("asimd",), memory_mb=900, accelerator="cuda"
)


@pytest.mark.parametrize("profiles", [(FOR_PI, FOR_ORIN), (FOR_ORIN, FOR_PI)], ids=["board first", "Jetson first"])
@pytest.mark.parametrize(
    ("report", "first", "target"),
    [
        (NO_DRIVER, "tflite-int8", "arm64-linux"),
        (NO_GPU, "tflite-int8", "arm64-linux"),
        (ORIN, "onnx-fp32", "jetson-orin"),
    ],
    ids=["a Raspberry Pi", "no GPU", "an Orin"],
)
def test_one_bundle_for_a_board_and_a_jetson_follows_the_order_of_each(
    profiles: tuple[Profile, ...], report: GpuReport, first: str, target: str
) -> None:
    candidate = rank(manifest(*profiles), PI, EVERYTHING, find_gpus=lambda: report)[0]
    assert candidate.artifact.id == first
    assert candidate.profile is not None and candidate.profile.target == target


def test_a_gpu_counts_for_more_than_the_vendor_of_the_cpu() -> None:
    vendor = replace(FOR_PI, target="arm", vendor="ARM")
    candidate = rank(manifest(vendor, FOR_ORIN), PI, EVERYTHING, find_gpus=lambda: ORIN)[0]
    assert candidate.profile == FOR_ORIN


def test_an_accelerator_that_nobody_knows_is_nowhere() -> None:
    npu = replace(FOR_ORIN, accelerator="npu")
    candidate = rank(manifest(npu, FOR_PI), PI, EVERYTHING, find_gpus=lambda: ORIN)[0]
    assert candidate.profile == FOR_PI


def test_without_its_gpu_a_jetson_still_follows_the_order_of_its_target() -> None:
    """As in a container that was not given the GPU: manifest order would take float32 before int8."""
    order = replace(FOR_ORIN, order=("tflite-int8", "openvino-int8", "onnx-fp32"))
    candidates = rank(manifest(order), PI, EVERYTHING, find_gpus=lambda: NO_DRIVER)
    assert ids(candidates) == ["tflite-int8", "openvino-int8", "onnx-fp32"]
    assert all(candidate.profile == order for candidate in candidates)


def test_for_profiles_the_driver_is_asked_once_and_only_where_the_rest_matches() -> None:
    asked = []

    def find_gpus() -> GpuReport:
        asked.append(1)
        return NO_DRIVER

    bundle = manifest(FOR_PI, FOR_ORIN, replace(FOR_ORIN, target="jetson-thor"))
    rank(bundle, machine(), EVERYTHING, find_gpus=find_gpus)
    rank(manifest(FOR_PI), PI, EVERYTHING, find_gpus=find_gpus)
    assert asked == []
    rank(replace(bundle, artifacts=(*bundle.artifacts, *for_cuda().artifacts)), PI, EVERYTHING, find_gpus=find_gpus)
    assert asked == [1]


def measured(*configurations: tuple[str, int] | tuple[str, int, tuple[int, ...]], refused: str = "") -> Measured:
    return Measured(tuple(Configuration(*one) for one in configurations), frozenset(refused.split()))


def test_what_was_measured_comes_before_any_profile() -> None:
    bundle = manifest(profile("any", "onnx-fp32 openvino-int8"))
    order = measured(("tflite-int8", 2), ("openvino-int8", 1), ("tflite-int8", 1))
    candidates = rank(bundle, machine(), EVERYTHING, measured=order)
    assert ids(candidates) == ["tflite-int8", "openvino-int8", "onnx-fp32"]
    assert [c.measured and c.measured.threads for c in candidates] == [2, 1, None]
    assert [c.profile and c.profile.target for c in candidates] == [None, "any", "any"]


def test_what_was_refused_comes_last_of_all() -> None:
    order = measured(("tflite-int8", 2), refused="onnx-fp32 tflite-int8")
    assert ids(rank(manifest(), machine(), EVERYTHING, measured=order)) == ["tflite-int8", "openvino-int8", "onnx-fp32"]


def test_pins_narrow_what_was_measured() -> None:
    order = measured(("tflite-int8", 2), ("openvino-int8", 1))
    [only_one] = rank(manifest(), machine(), EVERYTHING, backend="openvino", measured=order)
    assert only_one.measured == Configuration("openvino-int8", 1)
    one_thread = rank(manifest(), machine(), EVERYTHING, measured=order.with_threads(1))
    assert ids(one_thread) == ["openvino-int8", "onnx-fp32", "tflite-int8"]
    assert order.with_threads(None) is order


def test_what_was_measured_and_cannot_run_is_still_told() -> None:
    candidates = rank(
        manifest(), machine(), [runtime("onnxruntime")], measured=measured(("tflite-int8", 2), ("onnx-fp32", 1))
    )
    assert ids(candidates)[:2] == ["tflite-int8", "onnx-fp32"]
    assert candidates[0].runtime is None


@pytest.mark.parametrize(
    ("buckets", "used"),
    [((), (8, 32)), ((32,), (32,)), ((8, 32), (8, 32)), ((8,), (8, 32)), ((16, 32), (8, 32))],
)
def test_fewer_buckets_are_used_where_they_are_the_artifacts_own(
    buckets: tuple[int, ...], used: tuple[int, ...]
) -> None:
    first = rank(manifest(), machine(), EVERYTHING, measured=measured(("tflite-int8", 1, buckets)))[0]
    assert first.artifact.shapes.buckets == used
    assert first.artifact.shapes.max_length == 32


def test_a_configuration_says_how_it_runs() -> None:
    assert str(Configuration("onnx-fp32", 1)) == "onnx-fp32, 1 thread"
    assert str(Configuration("tflite-int8", 4, (8, 32))) == "tflite-int8, 4 threads, buckets 8, 32"
