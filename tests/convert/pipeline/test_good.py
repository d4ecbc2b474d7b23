"""A good conversion: a bundle that runs, with evidence that agrees with it."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("optimum")
pytest.importorskip("onnxscript")
pytest.importorskip("onnxruntime")

import edgebert
from edgebert.bundle import open_bundle
from edgebert.convert.checkpoint import Checkpoint
from edgebert.convert.report import PASSED, Report
from edgebert.runtime.tokenization import TextTokenizer
from tests.convert import models
from tests.convert.conftest import Exports
from tests.convert.pipeline.support import EXAMPLES, ONNX, outcomes


def test_every_artifact_passes_and_runs(good: tuple[Path, Report, Any], small: Checkpoint, exports: Exports) -> None:
    out, report, _ = good
    assert {name: outcome.status for name, outcome in outcomes(report).items()} == dict.fromkeys(
        models.ALL_ARTIFACTS, PASSED
    )
    tokenizer = TextTokenizer(small.tokenizer_json, max_length=64)
    texts = [text for text, _ in models.opinions(30, seed=11)]
    rows = [tokenizer.encode(text)[0].input_ids for text in texts]
    graph = [models.graph_logits(exports.job.graph, row[None], np.ones((1, len(row)), np.int32))[0] for row in rows]
    expected = [small.task.labels[int(logits.argmax())] for logits in graph]
    assert len(set(expected)) == 3
    for name in models.ALL_ARTIFACTS:
        with edgebert.load(out, artifact=name, strict=True) as model:
            answers = [result["label"] for result in model(texts)]
        agreeing = np.mean([answer == wanted for answer, wanted in zip(answers, expected, strict=True)])
        assert agreeing == 1.0 if not name.endswith("int8") else agreeing >= 0.9, name


def test_evidence_agrees_with_the_manifest(good: tuple[Path, Report, Any], small: Checkpoint, files: Path) -> None:
    out, report, _ = good
    bundle = open_bundle(out)
    bundle.verify(bundle.manifest.files)
    manifest = bundle.manifest
    evidence = json.loads((out / "evidence.json").read_bytes())
    assert evidence == json.loads(report.to_json())
    assert b"onnx-int8" in (out / "evidence.html").read_bytes()
    assert evidence["name"] == manifest.name == "tiny"
    assert evidence["tools"] == dict(manifest.provenance.tools)
    assert {"edgebert", "torch", "onnx", "openvino", "nncf", "litert-torch"} <= manifest.provenance.tools.keys()
    assert manifest.provenance.files == small.files
    assert manifest.provenance.command == ("edgebert", "convert", "tiny")
    assert manifest.task == small.task
    assert (out / "tokenizer.json").read_bytes() == small.tokenizer_json
    assert evidence["evaluation"]["path"] == "dev.tsv"
    assert evidence["evaluation"]["texts"] == len(EXAMPLES)
    assert list(evidence["evaluation"]["scores"]) == ["accuracy", "macro_f1"]
    assert min(evidence["evaluation"]["scores"].values()) > 0.9
    assert evidence["calibration"] == "calibration.txt"
    assert evidence["parameters"] == sum(tensor.numel() for tensor in small.tensors.values())
    assert evidence["graph_diff"] <= 1e-4
    assert [artifact.id for artifact in manifest.artifacts] == [entry["id"] for entry in evidence["artifacts"]]
    for artifact, entry in zip(manifest.artifacts, evidence["artifacts"], strict=True):
        measured = entry["measurement"]
        assert artifact.tolerance == entry["tolerance"] > measured["golden_diff"]
        assert artifact.quantization == entry["quantization"]
        assert sum(file.size for file in artifact.files) == entry["bytes"]
        assert asdict(artifact.evidence) == {
            "max_abs_diff": measured["max_abs_diff"],
            "label_agreement": measured["label_agreement"],
            "metric": "accuracy",
            "value": measured["scores"][0]["value"],
            "reference": evidence["evaluation"]["scores"]["accuracy"],
        }
    assert {profile.target: profile.order for profile in manifest.profiles} == {
        "all-board": models.ALL_ARTIFACTS,
        "tiny-board": ONNX,
    }
    assert outcomes(report)["onnx-int8"].targets == ("all-board", "tiny-board")
    assert outcomes(report)["tflite-int8"].targets == ("all-board",)


def test_nothing_of_the_work_is_left(good: tuple[Path, Report, Any]) -> None:
    out, _, _ = good
    assert [path.name for path in out.parent.iterdir()] == ["tiny.edgebert"]
    assert {path.name for path in out.iterdir()} == {
        "manifest.json", "tokenizer.json", "golden.npz", "evidence.json", "evidence.html", "artifacts"
    }  # fmt: skip
    assert {path.name for path in (out / "artifacts").iterdir()} == set(models.ALL_ARTIFACTS)


def test_progress_names_stages_and_artifacts(good: tuple[Path, Report, list[tuple[str, str | None]]]) -> None:
    work = [
        step for name in sorted(models.ALL_ARTIFACTS) for step in (("export", name), ("measure", name), (PASSED, name))
    ]
    assert good[2] == [("libraries", None), ("checkpoint", None), ("graph", None), *work, ("write", None)]
