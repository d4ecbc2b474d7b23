"""The names of XNNPACK's kernels, told by LiteRT's profiler in a process of its own."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from edgebert.bundle import open_bundle
from edgebert.runtime.engines import Execution, Operator
from edgebert.runtime.engines.base import plain_inputs
from edgebert.runtime.engines.litert_profile import profile_kernels, read_summary
from edgebert.runtime.engines.tflite_graph import BUILTIN
from tests.runtime import tiny
from tests.runtime.engines.test_operators import TASK, types
from tests.runtime.xnnpack import litert, refuse_a_product, switch_off

_SUMMARY = """
===== Run Order =====
       [node type]    [start]    [first]   [avg ms]        [%]     [cdf%]   [mem KB] [times called]   [Name]
           RESHAPE      0.000      0.001      0.001     0.806%     0.806%      0.000              1   [Builtin]:0
 Delegate/Fully Connected (NC, QD8, F32, QC8W) GEMM   0.000   0.013  0.013  10.484%  29.839%  0.000  1  [Delegate]:20
 Delegate/Add (ND)     12.000      0.010      0.010   100.000%   100.000%      0.000             1   [Delegate]:2
 Delegate/Add (ND)      0.000      0.010      0.010     8.065%    12.097%      0.000             1   [Delegate]:3

===== Top by Computation Time =====
       [node type]    [start]    [first]   [avg ms]        [%]     [cdf%]   [mem KB] [times called]   [Name]
           RESHAPE      0.000      0.001      0.001     0.806%     0.806%      0.000              1   [Builtin]:0

Number of nodes executed: 4
"""


@pytest.fixture(scope="module")
def model(artifact_files: Mapping[str, Mapping[str, bytes]], tmp_path_factory: pytest.TempPathFactory) -> Path:
    if not (Path(litert().__file__).parent / "libLiteRt.so").is_file():
        pytest.skip("this release of LiteRT has no profiler")
    path = tmp_path_factory.mktemp("profile") / "model.tflite"
    path.write_bytes(artifact_files["tflite-fp32"]["model.tflite"])
    return path


def execution(bundle: Path, artifact: str = "tflite-fp32", length: int = tiny.BUCKETS[0]) -> Execution:
    engine = tiny.open_engine(open_bundle(bundle), artifact, threads=1)
    try:
        return engine.execution(plain_inputs(TASK, length))
    finally:
        engine.close()


def builtin(counts: Mapping[str, int]) -> Sequence[Operator]:
    return [Operator(count, name, "", BUILTIN) for name, count in counts.items()]


def test_a_summary_is_read_once() -> None:
    assert read_summary(_SUMMARY) == {
        "Builtin": Counter({"RESHAPE": 1}),
        "Delegate": Counter({"Fully Connected (NC, QD8, F32, QC8W) GEMM": 1, "Add (ND)": 2}),
    }


@pytest.mark.parametrize("length", tiny.BUCKETS)
def test_every_product_of_the_interpreter_has_its_kernel(model: Path, bundle_path: Path, length: int) -> None:
    told = execution(bundle_path, length=length)
    assert told.untold == ""
    counts = types(told.operators)
    kernels: Counter[str] = Counter()
    for kernel in told.kernels:
        kernels[kernel.name.partition(" (")[0]] += kernel.count
    assert kernels["Fully Connected"] == counts["FULLY_CONNECTED"]
    assert kernels["Batch Matrix Multiply"] == counts["BATCH_MATMUL"]
    assert kernels["Softmax"] == counts["SOFTMAX"]
    assert all("F32" in kernel.name for kernel in told.kernels if kernel.name.startswith("Fully Connected"))


def test_a_profile_of_another_plan_does_not_count(model: Path) -> None:
    with pytest.raises(ValueError, match="in another way than the interpreter"):
        profile_kernels(model, "length_8", builtin({"SOFTMAX": 1}))


def test_a_product_left_to_others_is_left_there_too(model: Path, checkpoint: tiny.Checkpoint, tmp_path: Path) -> None:
    item = tiny.artifact("tflite-fp32")
    files = {"model.tflite": refuse_a_product(model.read_bytes())}
    told = execution(tiny.write_bundle(tmp_path / "left.edgebert", checkpoint, [(item, files)]))
    assert [one.count for one in told.operators if (one.type, one.executed_by) == ("FULLY_CONNECTED", BUILTIN)] == [1]
    assert told.untold == ""
    products = sum(kernel.count for kernel in told.kernels if kernel.name.startswith("Fully Connected"))
    assert products == types(told.operators)["FULLY_CONNECTED"] - 1


def test_a_process_that_fails_only_means_that_kernels_are_not_told(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "broken.tflite"
    broken.write_bytes(model.read_bytes()[:1000])
    with pytest.raises(ValueError, match=r"LiteRT's profiler ended with -?\d+: "):
        profile_kernels(broken, "length_8", [])
    with pytest.raises(ValueError, match=r"LiteRT's profiler ended with 1: .*length_9"):
        profile_kernels(model, "length_9", [])
    monkeypatch.setattr(sys, "executable", str(tmp_path / "absent"))
    with pytest.raises(ValueError, match=r"LiteRT's profiler cannot be started: .*absent"):
        profile_kernels(model, "length_8", [])


def test_operators_are_told_without_kernels(model: Path, bundle_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/absent")
    told = execution(bundle_path)
    assert told.operators
    assert told.kernels == ()
    assert told.untold.startswith("the kernels of XNNPACK: LiteRT's profiler cannot be started: ")


def test_without_xnnpack_there_is_nothing_to_profile(bundle_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    switch_off(monkeypatch)
    told = execution(bundle_path)
    assert (told.kernels, told.untold) == ((), "")
