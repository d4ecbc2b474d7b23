"""What there is to try."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from edgebert.bench.tuning.candidates import fewer_buckets, find_candidates, thread_counts
from edgebert.bundle import Requires
from edgebert.runtime.selection import Configuration
from tests.bench.tuning.device import in_front
from tests.bundle import samples
from tests.runtime.rankings import MACHINE, RUNTIMES, bundle


@pytest.mark.parametrize(
    ("physical", "performance", "counts"),
    [(1, 1, (1,)), (2, 2, (1, 2)), (4, 4, (1, 2, 4)), (6, 2, (1, 2, 4, 6)), (8, 3, (1, 2, 3, 4, 8))],
)
def test_threads_to_try_follow_the_cores(physical: int, performance: int, counts: tuple[int, ...]) -> None:
    machine = replace(MACHINE, logical_cores=16, physical_cores=physical, performance_cores=performance)
    assert thread_counts(machine) == counts


@pytest.mark.parametrize(
    ("buckets", "fewer"),
    [((), ()), ((64,), ()), ((8, 64), (64,)), ((8, 16, 64), (8, 64)), ((16, 32, 64, 128, 256, 512), (32, 128, 512))],
)
def test_every_other_bucket_counted_from_the_longest(buckets: tuple[int, ...], fewer: tuple[int, ...]) -> None:
    assert fewer_buckets(buckets) == fewer


def test_artifacts_by_threads_and_with_fewer_buckets(tmp_path: Path) -> None:
    field = find_candidates(bundle(tmp_path), MACHINE, RUNTIMES, (2, 1, 2))
    assert set(field.configurations) == {
        *(Configuration(name, threads) for name in ("onnx-fp32", "openvino-int8", "tflite-int8") for threads in (1, 2)),
        Configuration("tflite-int8", 2, (32,)),
    }
    assert len(field.configurations) == 7
    assert field.absent == {}


def test_the_most_precise_one_is_the_reference(tmp_path: Path) -> None:
    better = replace(samples.artifact().evidence, max_abs_diff=1e-5)
    artifacts = (
        samples.artifact("tflite-int8"),
        samples.artifact("openvino-int8", evidence=better),
        samples.artifact("onnx-fp32"),
    )
    whole = bundle(tmp_path, manifest=samples.manifest(artifacts=artifacts))
    references = find_candidates(whole, MACHINE, RUNTIMES, (1, 2)).references
    assert [str(one) for one in references] == [
        f"{name}, 2 threads" for name in ("onnx-fp32", "openvino-int8", "tflite-int8")
    ]


def test_what_cannot_run_is_told(tmp_path: Path) -> None:
    elsewhere = samples.artifact("onnx-fp32", requires=Requires(("armv7l",), (), {"onnxruntime": "1"}))
    whole = bundle(tmp_path, manifest=samples.manifest(artifacts=(elsewhere, samples.artifact("openvino-int8"))))
    field = find_candidates(whole, MACHINE, RUNTIMES, (1,))
    assert field.configurations == (Configuration("openvino-int8", 1),)
    assert "needs a CPU of architecture armv7l" in field.absent["onnx-fp32"]


def test_of_a_cascade_only_what_all_of_it_can_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = bundle(tmp_path, manifest=in_front())
    behind = bundle(tmp_path, manifest=samples.manifest(artifacts=(samples.artifact("tflite-int8"),)))
    both = [("", whole), ("bigger/", behind)]  # the bundles of this test have no files
    monkeypatch.setattr("edgebert.bench.tuning.candidates.stages", lambda first: both)
    field = find_candidates(whole, MACHINE, RUNTIMES, (1, 2))
    assert field.configurations == (Configuration("tflite-int8", 1), Configuration("tflite-int8", 2))
    assert field.absent["onnx-fp32"] == "bigger/ has no such artifact that runs here"
