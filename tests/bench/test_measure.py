"""The benchmark end to end, in real worker processes."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import tokenizers
from onnx import numpy_helper

import edgebert
from edgebert.bench import ArtifactResult, BenchmarkReport, Step, measure, run_benchmark
from edgebert.bench.report import Executed
from edgebert.bundle import Requires, open_bundle
from tests.bench.conftest import ELSEWHERE, RUNNABLE, TEXTS
from tests.runtime import tiny


def quick(bundle: Path, **changes: Any) -> BenchmarkReport:
    return run_benchmark(bundle, **{"lengths": (8,), "repetitions": 1, "rounds": 1, "texts": TEXTS, **changes})


@pytest.fixture(autouse=True)
def unasked(monkeypatch: pytest.MonkeyPatch) -> None:
    """What executes is asked for ``report`` alone: it takes a process for each artifact."""
    monkeypatch.setattr(measure, "ask_what_executes", lambda bundle, artifact: Executed(None, None, "not asked"))


def by_id(report: BenchmarkReport) -> dict[str, ArtifactResult]:
    return {result.id: result for result in report.artifacts}


@pytest.mark.parametrize("artifact", RUNNABLE)
def test_every_artifact_that_can_run_is_measured(report: BenchmarkReport, bundle_path: Path, artifact: str) -> None:
    result = by_id(report)[artifact]
    assert (result.status, result.reason, result.log) == ("measured", "", "")
    files = (bundle_path / "artifacts" / artifact).iterdir()
    assert result.bytes == sum(file.stat().st_size for file in files)
    m = result.measurements
    assert m is not None
    assert (m.facts.artifact, m.facts.threads) == (artifact, 1)
    assert list(m.latency_ms) == [5, 16, 64]
    assert {latency.count for latency in m.latency_ms.values()} == {2 * 4}
    assert m.texts_latency_ms.count == 2 * 4
    phases = (m.interpreter_ms, m.import_ms, m.load_ms, m.first_answer_ms)
    assert all(value > 0 for phase in phases for value in phase.values)
    assert m.total_ms.values == pytest.approx(np.sum([phase.values for phase in phases], axis=0))
    assert m.texts_per_second.median > 0
    assert m.first_answer_rss_bytes is not None
    assert m.peak_rss_bytes is not None
    assert 10 << 20 < m.first_answer_rss_bytes <= m.peak_rss_bytes
    assert m.resident is not None
    assert m.resident.rss_bytes <= m.peak_rss_bytes + (1 << 20)  # the kernel adds up the pages of threads now and then
    assert m.executed.length == (64 if artifact == "tflite-fp32" else 32)
    assert m.executed.execution is not None
    assert sum(operator.count for operator in m.executed.execution.operators) > 10
    assert m.energy is None or m.energy.domains
    # Timed by itself, so that on a busy machine it may be above the whole of so small a model.
    assert all(share > 0 for share in (*m.tokenization_share.values(), m.texts_tokenization_share))


def test_memory_is_of_the_worker_alone(report: BenchmarkReport) -> None:
    # This process holds torch and three backends; a worker holds one.
    peaks = [result.measurements.peak_rss_bytes for result in report.artifacts if result.measurements]
    assert all(peak is not None and peak < 400 << 20 for peak in peaks)


def test_an_artifact_that_cannot_run_is_listed_with_the_reason(report: BenchmarkReport) -> None:
    result = by_id(report)[ELSEWHERE]
    assert result.status == "cannot run"
    assert "needs onnxruntime >= 999" in result.reason
    assert result.measurements is None


def test_artifacts_alternate_in_rounds(report: BenchmarkReport, progress_lines: list[str]) -> None:
    assert [sorted(ids) for ids in report.plan.order] == [sorted(RUNNABLE)] * 2
    begun = [line.partition(" (about ")[0] for line in progress_lines]
    rounds = [f"round {number} of 2: {artifact}" for number, ids in enumerate(report.plan.order, 1) for artifact in ids]
    assert begun == [*rounds, *(f"what executes: {artifact}" for artifact in RUNNABLE)]
    assert all(line.endswith(" left)") for line in progress_lines[1:])


def test_the_json_holds_what_the_report_holds(report: BenchmarkReport, bundle_path: Path) -> None:
    data = json.loads(report.to_json())
    assert data["format"] == "edgebert-bench/2"
    assert data["noisy"] is report.noisy is bool(data["noise"])
    assert data["bundle_digest"] == open_bundle(bundle_path).digest
    assert data["versions"]["edgebert"] == edgebert.__version__
    assert data["machine"]["isa"] == sorted(report.machine.isa)
    plan = data["plan"]
    assert (plan["lengths"], plan["repetitions"], plan["rounds"], plan["seed"]) == ([5, 16, 64], 4, 2, 7)
    assert (plan["texts"], plan["text_count"], plan["threads"]) == ("given", len(TEXTS), 1)
    assert [entry["id"] for entry in data["artifacts"]] == [result.id for result in report.artifacts]
    for entry, result in zip(data["artifacts"], report.artifacts, strict=True):
        assert (entry["status"], entry["bytes"]) == (result.status, result.bytes)
        if result.measurements is None:
            assert entry["measurements"] is None
            continue
        measured = entry["measurements"]
        assert measured["facts"]["version"] == result.measurements.facts.version
        assert measured["latency_ms"]["16"]["p95"] == result.measurements.latency_ms[16].p95
        assert measured["load_ms"]["values"] == list(result.measurements.load_ms.values)
        assert measured["texts_per_second"]["median"] == result.measurements.texts_per_second.median
        assert measured["peak_rss_bytes"] == result.measurements.peak_rss_bytes


def test_built_in_texts_are_the_default(bundle_path: Path) -> None:
    from edgebert.assets import calibration_texts

    plan = quick(bundle_path, artifacts=RUNNABLE[:1], texts=None).plan
    assert (plan.texts, plan.text_count) == ("built-in", len(calibration_texts()))


def test_the_tokenizer_that_runs_is_told(
    bundle_path: Path, report: BenchmarkReport, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert report.versions["tokenizers"] == tokenizers.__version__
    monkeypatch.setattr("edgebert.runtime.tokenizer_reader.tokenizers", None)  # as where it cannot be imported
    report = quick(bundle_path, artifacts=RUNNABLE[:1])
    assert report.versions["tokenizers"].startswith("Python alone")


@pytest.mark.parametrize("name", ["SIGSEGV", "SIGKILL"])
def test_a_worker_that_is_killed_is_reported_and_the_others_go_on(
    bundle_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    # What the worker imports instead of ONNX Runtime dies as native code does.
    (tmp_path / "onnxruntime.py").write_text(
        "import os, resource, signal, sys\n"
        "resource.setrlimit(resource.RLIMIT_CORE, (0, 0))\n"
        "print('about to die', file=sys.stderr, flush=True)\n"
        f"os.kill(os.getpid(), signal.{name})\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    report = quick(bundle_path, rounds=2)
    crashed = by_id(report)["onnx-fp32"]
    assert crashed.status == "crashed"
    assert f"killed by {name}" in crashed.reason
    assert ("memory" in crashed.reason) == (name == "SIGKILL")
    assert "about to die" in crashed.log
    assert crashed.measurements is None
    assert [by_id(report)[other].status for other in RUNNABLE[1:]] == ["measured", "measured"]
    assert f"onnx-fp32: crashed: {crashed.reason}" in " ".join(report.table().split())


def test_a_worker_that_ends_badly_is_reported(
    bundle_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "onnxruntime.py").write_text("raise SystemExit(3)\n")
    monkeypatch.syspath_prepend(tmp_path)
    [result] = quick(bundle_path, artifacts=["onnx-fp32"]).artifacts
    assert (result.status, result.reason) == ("crashed", "the process ended with exit status 3")


def test_a_ruined_artifact_fails_and_the_others_go_on(
    checkpoint: tiny.Checkpoint, onnx_file: bytes, tmp_path: Path
) -> None:
    model = onnx.load_from_string(onnx_file)
    for tensor in model.graph.initializer:
        if tensor.data_type == onnx.TensorProto.FLOAT:
            tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor) * np.float32(1.2), tensor.name))
    artifacts = [
        (tiny.artifact("onnx-fp32"), {"model.onnx": model.SerializeToString()}),
        (tiny.artifact("onnx-fp32-whole"), {"model.onnx": onnx_file}),
    ]
    path = tiny.write_bundle(tmp_path / "ruined.edgebert", checkpoint, artifacts)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        report = quick(path, rounds=2)
    ruined, whole = report.artifacts
    assert (ruined.status, whole.status) == ("failed", "measured")
    assert "self-test" in ruined.reason


def test_an_unknown_artifact_is_refused(bundle_path: Path) -> None:
    with pytest.raises(edgebert.SelectionError, match="no artifact 'onnx-int4'") as caught:
        quick(bundle_path, artifacts=["onnx-fp32", "onnx-int4"])
    assert "tflite-fp32" in caught.value.hint


def test_nothing_that_can_run_is_refused(bundle_path: Path, checkpoint: tiny.Checkpoint, tmp_path: Path) -> None:
    with pytest.raises(edgebert.SelectionError, match=f"{ELSEWHERE}: needs onnxruntime >= 999") as caught:
        quick(bundle_path, artifacts=[ELSEWHERE])
    assert "install" in caught.value.hint.lower()
    elsewhere = tiny.artifact("onnx-fp32", requires=Requires(("armv7l",), (), {"onnxruntime": "1"}))
    path = tiny.write_bundle(tmp_path / "arm.edgebert", checkpoint, [(elsewhere, {"model.onnx": b"x"})])
    with pytest.raises(edgebert.SelectionError, match="needs a CPU of architecture armv7l"):
        quick(path)


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"lengths": (8, 65)}, "A length of 65 tokens is above the limit of 64"),
        ({"lengths": (2,)}, "An input of 2 tokens cannot be made"),
        ({"lengths": (0,)}, "length=0"),
        ({"lengths": ("8",)}, "length='8'"),
        ({"lengths": ()}, "lengths is empty"),
        ({"repetitions": 0}, "repetitions=0"),
        ({"rounds": True}, "rounds=True"),
        ({"threads": -1}, "threads=-1"),
        ({"artifacts": ()}, "artifacts is empty"),
        ({"texts": []}, "texts must be a list"),
        ({"texts": "one"}, "texts must be a list"),
        ({"texts": ["one", 2]}, "texts must be a list"),
    ],
)
def test_arguments_that_make_no_sense_are_refused(bundle_path: Path, option: dict[str, Any], message: str) -> None:
    with pytest.raises(edgebert.InputError) as caught:
        quick(bundle_path, **option)
    assert message in caught.value.message
    assert caught.value.hint


def test_a_folder_that_is_no_bundle_is_refused(tmp_path: Path) -> None:
    with pytest.raises(edgebert.BundleError):
        quick(tmp_path)


def test_an_interrupt_stops_at_once_and_leaves_nothing(
    bundle_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import tempfile

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    lines = []

    def interrupt(line: Step) -> None:
        lines.append(line)
        if len(lines) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        quick(bundle_path, progress=interrupt)
    assert len(lines) == 2
    assert list(tmp_path.iterdir()) == []
