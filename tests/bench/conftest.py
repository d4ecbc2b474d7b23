"""A tiny bundle with an artifact for each backend and one that cannot run, and the report of one benchmark of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgebert.bench import BenchmarkReport, run_benchmark
from edgebert.bundle import Requires
from tests.runtime import tiny

RUNNABLE = ("onnx-fp32", "openvino-fp32", "tflite-fp32")
ELSEWHERE = "onnx-int8"
TEXTS = ("a charming film", "the plot is dull, and the movie is not good", "great", "", "bad " * 100)


@pytest.fixture(scope="session")
def checkpoint() -> tiny.Checkpoint:
    return tiny.make_checkpoint("single_label_classification", ("NEGATIVE", "POSITIVE"))


@pytest.fixture(scope="session")
def onnx_file(checkpoint: tiny.Checkpoint) -> bytes:
    return tiny.onnx_bytes(checkpoint)


@pytest.fixture(scope="session")
def bundle_path(checkpoint: tiny.Checkpoint, onnx_file: bytes, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bench")
    files = {
        "onnx-fp32": {"model.onnx": onnx_file},
        "openvino-fp32": tiny.openvino_files(onnx_file, folder),
        "tflite-fp32": {"model.tflite": tiny.tflite_bytes(checkpoint, folder)},
    }
    artifacts = [(tiny.artifact(artifact_id), files[artifact_id]) for artifact_id in RUNNABLE]
    elsewhere = tiny.artifact(ELSEWHERE, requires=Requires((), (), {"onnxruntime": "999"}))
    artifacts.append((elsewhere, {"model.onnx": onnx_file}))
    return tiny.write_bundle(folder / "tiny.edgebert", checkpoint, artifacts)


@pytest.fixture(scope="session")
def progress_lines() -> list[str]:
    """What the benchmark of ``report`` said on its way."""
    return []


@pytest.fixture(scope="session")
def report(bundle_path: Path, progress_lines: list[str]) -> BenchmarkReport:
    return run_benchmark(
        bundle_path,
        lengths=(16, 5, 64),
        repetitions=4,
        rounds=2,
        threads=1,
        texts=TEXTS,
        seed=7,
        progress=lambda step: progress_lines.append(str(step)),
    )
