"""A benchmark of a cascade, whose figures are those of both models together."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from edgebert.bench import run_benchmark
from edgebert.bundle import open_bundle
from tests.runtime import tiny
from tests.runtime.test_cascade import write_cascade

LABELS = ("NEGATIVE", "POSITIVE")


@pytest.fixture(scope="module")
def cascade(bundle_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cascade")
    big = tiny.make_checkpoint("single_label_classification", LABELS, seed=1)
    other = tiny.write_bundle(folder / "b", big, [(tiny.artifact("onnx-fp32"), {"model.onnx": tiny.onnx_bytes(big)})])
    # Every answer comes from the bigger model, unless its confidence rounds to 1.
    return write_cascade(folder / "c.edgebert", bundle_path, other, threshold=1.0)


def test_both_bundles_count(cascade: Path, bundle_path: Path, tmp_path: Path) -> None:
    evaluation = tmp_path / "dev.tsv"
    evaluation.write_text("sentence\tlabel\ngood\tPOSITIVE\nawful\tNEGATIVE\n", encoding="utf-8")
    report = run_benchmark(
        cascade, artifacts=["onnx-fp32"], lengths=(8,), repetitions=1, rounds=1, texts=["good"], evaluation=evaluation
    )
    [result] = report.artifacts
    assert result.status == "measured", result.reason
    sizes = [
        sum(ref.size for ref in open_bundle(path).manifest.artifact("onnx-fp32").files)
        for path in (bundle_path, cascade / "bigger")
    ]
    assert (result.stage_bytes, result.bytes) == (tuple(sizes), sum(sizes))
    assert report.bundle_bytes == sum(path.stat().st_size for path in cascade.rglob("*") if path.is_file())
    assert report.bundle_digest == hashlib.sha256((cascade / "manifest.json").read_bytes()).hexdigest()
    m = result.measurements
    assert m is not None
    assert m.accuracy is not None
    # The evidence of neither bundle is of this file.
    assert report.evaluation is not None
    assert report.evaluation.reference == "onnx-fp32"
