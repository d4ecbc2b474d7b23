"""Every kind of checkpoint, through the real exporters."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("optimum")
pytest.importorskip("onnxscript")
pytest.importorskip("onnxruntime")

import edgebert
from edgebert.bundle import open_bundle
from edgebert.convert.pipeline import convert
from edgebert.convert.report import PASSED, Report
from tests.convert import models

KINDS: dict[str, tuple[tuple[str, ...], str, dict[str, Any]]] = {
    "two labels": (("no", "yes"), models.SINGLE, {}),
    "thirty labels": (tuple(f"intent {index}" for index in range(30)), models.SINGLE, {}),
    "several labels": (("joy", "anger", "fear", "calm"), "multi_label_classification", {}),
    "regression": (("stars",), "regression", {}),
    "short": (models.LABELS, models.SINGLE, {"max_position_embeddings": 12}),
}


# The others in `make test-full` alone: a conversion each.
_PARAMS = [
    kind if kind in ("regression", "several labels") else pytest.param(kind, marks=pytest.mark.full) for kind in KINDS
]


@pytest.fixture(scope="module", params=_PARAMS)
def kind(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Any, list[tuple[str, Any]], Path, Report]]:
    labels, problem_type, changes = KINDS[request.param]
    pytest.importorskip("litert_torch")
    folder = tmp_path_factory.mktemp("kind")
    model = models.trained_model(labels, problem_type, **changes)
    examples = models.opinions(40, labels, problem_type, seed=7)
    report = convert(
        str(models.save(model, folder / "checkpoint")),
        folder / "kind.edgebert",
        targets=[models.write_target(folder / "board", ["onnx-fp32", "onnx-int8", "tflite-fp32"])],
        evaluation=models.write_eval(folder / "dev.tsv", examples),
        calibration=models.write_texts(folder / "texts.txt", models.opinions(48, labels, problem_type)),
    )
    yield model, examples, folder / "kind.edgebert", report


def test_every_kind_of_checkpoint_converts(kind: tuple[Any, Any, Path, Report]) -> None:
    model, _, out, report = kind
    assert {outcome.status for outcome in report.artifacts} == {PASSED}
    assert report.evaluation.metric in ("accuracy", "micro_f1", "pearson")
    assert report.evaluation.scores[report.evaluation.metric] > 0.8
    assert report.labels == tuple(model.config.id2label[index] for index in range(model.config.num_labels))
    limit = model.config.max_position_embeddings
    for artifact in open_bundle(out).manifest.artifacts:
        assert artifact.shapes.max_length == limit
        if artifact.backend == "tflite":
            assert artifact.shapes.buckets == tuple(sorted({min(bucket, limit) for bucket in (8, 16, 64)}))


def test_every_kind_answers_as_transformers_does(kind: tuple[Any, Any, Path, Report], tmp_path: Path) -> None:
    from transformers import AutoTokenizer, TextClassificationPipeline

    model, examples, out, _ = kind
    tokenizer = AutoTokenizer.from_pretrained(out.parent / "checkpoint")
    texts = [text for text, _ in examples if len(tokenizer(text).input_ids) <= model.config.max_position_embeddings]
    assert len(texts) >= 20
    reference = TextClassificationPipeline(model=model, tokenizer=tokenizer, device="cpu")(texts, top_k=None)
    for artifact in ("onnx-fp32", "tflite-fp32"):
        with edgebert.load(out, artifact=artifact, strict=True) as loaded:
            for answer, expected in zip(loaded(texts, top_k=None), reference, strict=True):
                scores = {entry["label"]: entry["score"] for entry in answer}
                assert scores == pytest.approx({entry["label"]: entry["score"] for entry in expected}, abs=1e-4)
