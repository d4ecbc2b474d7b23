"""Artifacts that are ruined, or cannot be made: the gate refuses them, and the others are measured."""

from __future__ import annotations

import json
import sys
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
from edgebert.convert.pipeline import GateOverrides, convert
from edgebert.convert.report import FAILED, PASSED, REFUSED
from edgebert.errors import ConversionError, GateError
from tests.convert import models, ruin
from tests.convert.pipeline.support import EXAMPLES, ONNX, Harm, left, outcomes


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("onnx-fp32", ruin.scale_weights),
        ("onnx-fp32", ruin.zero_scales),
        ("onnx-int8", ruin.scale_weights),
        ("onnx-int8", ruin.zero_scales),
        ("openvino-fp16", ruin.scale_weights),
        ("openvino-int8", ruin.scale_weights),
        ("openvino-int8", ruin.zero_scales),
        ("tflite-fp16", ruin.scale_weights),
        ("tflite-fp32", ruin.scale_weights),
        ("tflite-fp32", ruin.zero_scales),
        ("tflite-int8", ruin.scale_weights),
    ],
)
def test_a_ruined_artifact_is_refused_and_the_others_are_measured(
    name: str, damage: Harm, run: Any, harm: dict[str, Any], files: Path, tmp_path: Path
) -> None:
    harm[name] = damage
    with pytest.raises(GateError) as caught:
        run(targets=[str(files / "all")], evaluation=files / "dev.tsv")
    error = caught.value
    assert (error.exit_code, error.code) == (3, "conversion.gate")
    assert f"1 of {len(models.ALL_ARTIFACTS)} artifacts did not pass" in error.message
    assert name in error.message
    assert "No bundle was written" in error.hint
    assert "--drop-failing" in error.hint
    made = outcomes(error.report)
    assert {one: outcome.status for one, outcome in made.items()} == {
        **dict.fromkeys(models.ALL_ARTIFACTS, PASSED),
        name: REFUSED,
    }
    assert all(outcome.measurement is not None for outcome in made.values())
    assert made[name].reasons
    json.loads(error.report.to_json())
    assert left(tmp_path) == []


def test_an_artifact_that_computes_no_numbers_is_refused(run: Any, harm: dict[str, Any], tmp_path: Path) -> None:
    import onnx

    def poison(folder: Path) -> None:
        model = onnx.load(folder / "model.onnx")
        for tensor in model.graph.initializer:
            array = onnx.numpy_helper.to_array(tensor)
            if array.dtype == np.float32:
                tensor.CopyFrom(onnx.numpy_helper.from_array(array * np.float32(np.nan), tensor.name))
        for old in folder.iterdir():
            old.unlink()
        onnx.save_model(model, folder / "model.onnx")

    harm["onnx-fp32"] = poison
    with pytest.raises(GateError) as caught:
        run()
    assert outcomes(caught.value.report)["onnx-fp32"].status == REFUSED
    assert outcomes(caught.value.report)["onnx-int8"].status == PASSED
    assert left(tmp_path) == []


def test_drop_failing_writes_the_others(run: Any, harm: dict[str, Any], tmp_path: Path, files: Path) -> None:
    harm["onnx-fp32"] = ruin.scale_weights
    report = run(drop_failing=True, targets=[str(files / "onnx"), str(files / "fp32")])
    bundle = open_bundle(tmp_path / "out" / "tiny.edgebert")
    bundle.verify(bundle.manifest.files)
    assert [artifact.id for artifact in bundle.manifest.artifacts] == ["onnx-int8"]
    assert {profile.target: profile.order for profile in bundle.manifest.profiles} == {"tiny-board": ("onnx-int8",)}
    assert left(tmp_path) == ["tiny.edgebert"]
    assert outcomes(report)["onnx-fp32"].status == REFUSED  # the evidence tells of it
    assert json.loads((tmp_path / "out/tiny.edgebert/evidence.json").read_bytes()) == json.loads(report.to_json())
    with edgebert.load(tmp_path / "out" / "tiny.edgebert", strict=True) as model:
        assert model.artifact == "onnx-int8"
        assert [result["label"] for result in model([text for text, _ in EXAMPLES[:5]])] == [a for _, a in EXAMPLES[:5]]


def test_drop_failing_does_not_write_an_empty_bundle(run: Any, harm: dict[str, Any], tmp_path: Path) -> None:
    harm.update(dict.fromkeys(ONNX, ruin.scale_weights))
    with pytest.raises(GateError, match="2 of 2 artifacts") as caught:
        run(drop_failing=True)
    assert "--drop-failing" not in caught.value.hint
    assert left(tmp_path) == []


def test_overrides_tighten_and_loosen_the_gate(run: Any, tmp_path: Path) -> None:
    with pytest.raises(GateError) as caught:
        run(overrides=GateOverrides(max_logit_difference=1e-9))
    assert all(
        "is allowed (1e-09 of the largest" in outcome.reasons[0] for outcome in outcomes(caught.value.report).values()
    )
    report = run(overrides=GateOverrides(max_logit_difference=1e9, min_label_agreement=0.1, max_metric_drop=1.0))
    limits = outcomes(report)["onnx-fp32"].limits
    assert limits is not None
    assert (limits.max_logit_difference, limits.min_label_agreement, limits.max_metric_drop) == (1e9, 0.1, 1.0)


def test_an_exporter_that_raises(run: Any, harm: dict[str, Any], tmp_path: Path) -> None:
    harm["onnx-int8"] = RuntimeError("no such operator\nand a long trace")
    with pytest.raises(ConversionError, match="onnx-int8 failed: RuntimeError: no such operator") as caught:
        run()
    assert type(caught.value) is ConversionError
    assert caught.value.exit_code == 1
    made = outcomes(caught.value.report)
    assert (made["onnx-int8"].status, made["onnx-int8"].measurement) == (FAILED, None)
    assert "the converter of onnx-int8 gives up" in made["onnx-int8"].log
    assert made["onnx-fp32"].status == PASSED
    assert made["onnx-fp32"].measurement is not None
    assert made["onnx-fp32"].log == ""
    assert left(tmp_path) == []
    report = run(drop_failing=True)
    assert outcomes(report)["onnx-int8"].status == FAILED
    assert [path.name for path in (tmp_path / "out/tiny.edgebert/artifacts").iterdir()] == ["onnx-fp32"]


def test_refused_outweighs_failed(run: Any, harm: dict[str, Any]) -> None:
    harm.update({"onnx-int8": RuntimeError("no"), "onnx-fp32": ruin.scale_weights})
    with pytest.raises(GateError) as caught:
        run()
    assert {outcome.status for outcome in outcomes(caught.value.report).values()} == {REFUSED, FAILED}


def test_a_missing_conversion_library(
    small_folder: Path, files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The real exporters, without litert-torch."""
    target = models.write_target(tmp_path / "board", ["onnx-fp32", "tflite-fp32", "tflite-int8"])
    monkeypatch.setitem(sys.modules, "litert_torch", None)
    monkeypatch.setitem(sys.modules, "ai_edge_litert", None)
    monkeypatch.delitem(sys.modules, "edgebert.convert.exporters.tflite", raising=False)
    monkeypatch.delitem(sys.modules, "edgebert.convert.exporters.tflite_file", raising=False)
    (tmp_path / "out").mkdir()
    with pytest.raises(ConversionError) as caught:
        convert(
            str(small_folder),
            tmp_path / "out" / "tiny.edgebert",
            targets=[target],
            calibration=files / "calibration.txt",
        )
    made = outcomes(caught.value.report)
    assert made["onnx-fp32"].status == PASSED
    for name in ("tflite-fp32", "tflite-int8"):
        assert made[name].status == FAILED
        assert 'pip install "edgebert[convert]"' in made[name].reasons[0]
    assert left(tmp_path) == []


def test_a_backend_that_is_not_installed(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgebert.convert.evidence.find_runtimes", lambda backend: [])
    with pytest.raises(ConversionError, match="cannot run here: needs onnxruntime"):
        run()
