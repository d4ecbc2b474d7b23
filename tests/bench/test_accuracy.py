"""Accuracy on an evaluation file, in real worker processes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgebert import DataError, InputError, load
from edgebert.bench import BenchmarkReport, run_benchmark
from edgebert.bench.accuracy import compare, read_evaluation
from edgebert.bundle import open_bundle
from edgebert.runtime.tokenization import TextTokenizer
from tests.bench.conftest import RUNNABLE
from tests.cli.task_bundles import task_bundle

SENTENCES = ("a charming film", "the plot is dull", "great journey", "it is not good", "awful movie", "fine")


@pytest.fixture
def right(bundle_path: Path) -> list[str]:
    """What the float32 model answers."""
    with load(bundle_path, artifact="onnx-fp32") as model:
        return [result["label"] for result in model(list(SENTENCES))]


def write(path: Path, labels: list[str]) -> Path:
    lines = [f"{sentence}\t{label}" for sentence, label in zip(SENTENCES, labels, strict=True)]
    path.write_text("\n".join(["sentence\tlabel", *lines]) + "\n", encoding="utf-8")
    return path


def measure(bundle: Path, **changes: Any) -> BenchmarkReport:
    options = {"lengths": (8,), "repetitions": 1, "rounds": 1, "texts": ["good"]}
    return run_benchmark(bundle, **{**options, **changes})


def test_each_artifact_is_scored_against_float32(bundle_path: Path, right: list[str], tmp_path: Path) -> None:
    other = {"NEGATIVE": "POSITIVE", "POSITIVE": "NEGATIVE"}
    file = write(tmp_path / "dev.tsv", [*right[:4], other[right[4]], other[right[5]]])
    lines: list[str] = []
    report = measure(
        bundle_path, artifacts=RUNNABLE[:2], evaluation=file, progress=lambda step: lines.append(str(step))
    )
    assert report.evaluation is not None
    # No evidence of the conversion is of this file: then the first float32 artifact is what the others keep.
    first = report.artifacts[0].id
    assert (report.evaluation.file, report.evaluation.count, report.evaluation.reference) == ("dev.tsv", 6, first)
    assert [line.partition(" (")[0] for line in lines[-2:]] == [
        f"accuracy on dev.tsv: {result.id}" for result in report.artifacts
    ]
    for result in report.artifacts:
        assert result.measurements is not None
        assert result.measurements.accuracy is not None
        accuracy, f1 = result.measurements.accuracy.scores
        assert (accuracy.metric, accuracy.value, accuracy.reference) == (
            "accuracy",
            pytest.approx(4 / 6),
            pytest.approx(4 / 6),
        )
        assert accuracy.retention == 1.0
        assert accuracy.interval is not None
        assert accuracy.interval.low < 4 / 6 < accuracy.interval.high
        assert (f1.metric, f1.interval) == ("macro_f1", None)
    assert "Accuracy on dev.tsv, 6 inputs" in report.table()
    assert json.loads(report.to_json())["evaluation"]["sha256"] == report.evaluation.sha256


def test_the_checkpoint_is_the_reference_where_the_evidence_is_of_the_same_file(
    bundle_path: Path, right: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = open_bundle(bundle_path)
    task, data = bundle.manifest.task, bundle.read(bundle.manifest.tokenizer.file)
    file = read_evaluation(task, TextTokenizer(data, max_length=64), write(tmp_path / "dev.tsv", right))
    values = {"onnx-int8": {"accuracy": 0.75, "macro_f1": 0.7}}
    precisions = {"onnx-int8": "int8"}

    def evidence(content: object) -> None:
        monkeypatch.setattr(type(bundle), "read", lambda self, ref: json.dumps(content).encode())

    evidence({"evaluation": {"sha256": file.data.sha256, "scores": {"accuracy": 0.8}}})
    about, scored = compare(bundle, file, values, precisions)
    accuracy, f1 = scored["onnx-int8"].scores
    assert about.reference == "checkpoint"
    assert (accuracy.reference, accuracy.retention) == (0.8, pytest.approx(0.9375))
    assert (f1.reference, f1.retention) == (None, None)
    for content in (
        {"evaluation": {"sha256": "0" * 64, "scores": {"accuracy": 0.8}}}, {"evaluation": None}, {}, [],
        {"evaluation": {"sha256": file.data.sha256, "scores": {"accuracy": "high"}}},
    ):  # fmt: skip
        evidence(content)
        about, scored = compare(bundle, file, values, precisions)
        assert about.reference == ""
        assert {score.retention for score in scored["onnx-int8"].scores} == {None}


def test_what_cannot_be_read_is_refused_before_the_work(bundle_path: Path, tmp_path: Path) -> None:
    lines: list[object] = []
    path = write(tmp_path / "dev.tsv", ["GOOD"] * len(SENTENCES))
    with pytest.raises(DataError, match=r"dev\.tsv, line 2: unknown label 'GOOD'"):
        measure(bundle_path, evaluation=path, progress=lines.append)
    with pytest.raises(DataError, match=r"absent\.tsv: cannot be read"):
        measure(bundle_path, evaluation=tmp_path / "absent.tsv", progress=lines.append)
    assert lines == []


def test_an_artifact_that_cannot_answer_the_file_has_failed(
    bundle_path: Path, right: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from edgebert.bench import accuracy
    from edgebert.bench.launch import Crash

    monkeypatch.setattr(accuracy, "run_main", lambda module, job: Crash("killed by SIGKILL", "the end"))
    report = measure(bundle_path, artifacts=["onnx-fp32"], evaluation=write(tmp_path / "dev.tsv", right))
    [result] = report.artifacts
    assert (result.status, result.reason, result.log) == ("crashed", "killed by SIGKILL", "the end")
    monkeypatch.setattr(accuracy, "run_main", lambda module, job: json.dumps({"error": "it broke"}))
    report = measure(bundle_path, artifacts=["onnx-fp32"], evaluation=write(tmp_path / "dev.tsv", right))
    assert (report.artifacts[0].status, report.artifacts[0].reason) == ("failed", "it broke")


def test_a_task_that_a_benchmark_does_not_score_says_so(tmp_path_factory: pytest.TempPathFactory) -> None:
    bundle = task_bundle("fill-mask", tmp_path_factory)
    with pytest.raises(InputError, match="does not score fill-mask") as caught:
        measure(bundle, lengths=(32,), evaluation=bundle)
    assert "edgebert convert --eval" in caught.value.hint


def test_pairs_and_logits_come_through(bundle_path: Path, right: list[str], tmp_path: Path) -> None:
    path = tmp_path / "pairs.tsv"
    with load(bundle_path, artifact="onnx-fp32") as model:
        pairs = [(SENTENCES[0], SENTENCES[1]), (SENTENCES[2], SENTENCES[3])]
        labels = [result["label"] for result in model(pairs)]
    rows = [f"{first}\t{second}\t{label}" for (first, second), label in zip(pairs, labels, strict=True)]
    path.write_text("\n".join(["sentence1\tsentence2\tlabel", *rows]) + "\n", encoding="utf-8")
    report = measure(bundle_path, artifacts=["onnx-fp32"], evaluation=path)
    m = report.artifacts[0].measurements
    assert m is not None
    assert m.accuracy is not None
    assert m.accuracy.scores[0].value == 1.0


@pytest.mark.parametrize("task", ["token-classification", "question-answering"])
def test_other_tasks_are_scored_by_their_own_metrics(task: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    bundle = task_bundle(task, tmp_path_factory)
    folder = tmp_path_factory.mktemp("data")
    if task == "token-classification":
        path = folder / "dev.conll"
        path.write_text("a O\nfilm B-WORK\n\ngood O\n", encoding="utf-8")
        metric = "entity_f1"
    else:
        path = folder / "dev.json"
        answer = {"text": "film", "answer_start": 2}
        question = {"id": "1", "question": "what?", "answers": [answer]}
        squad = {"data": [{"paragraphs": [{"context": "a film is good", "qas": [question]}]}]}
        path.write_text(json.dumps(squad), encoding="utf-8")
        metric = "squad_f1"
    report = measure(bundle, lengths=(32,), evaluation=path)
    m = report.artifacts[0].measurements
    assert m is not None, report.artifacts[0].reason
    assert m.accuracy is not None
    score = m.accuracy.scores[0]
    assert (score.metric, np.isfinite(score.value)) == (metric, True)
