"""A TFLite artifact whose backend runs without its fast kernels: right answers, and a warning."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest

import edgebert
from edgebert.runtime.verify import verify
from tests.runtime import tiny
from tests.runtime.xnnpack import refuse_a_product, switch_off

ARTIFACT = "tflite-fp32"


def test_nothing_is_said_where_xnnpack_runs(bundle_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = edgebert.load(bundle_path, artifact=ARTIFACT, threads=1)
    assert model.explain().facts.slowdown == ""
    assert "slow:" not in str(model.explain())
    model.close()
    assert all(result.slowdown == "" for result in verify(bundle_path, threads=1))


@pytest.mark.parametrize("strict", [False, True])
def test_load_warns_once_and_answers(bundle_path: Path, strict: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """To be slow is not to fail: `strict` does not refuse it."""
    with edgebert.load(bundle_path, artifact=ARTIFACT, threads=1) as fast:
        expected = fast("a charming film")
    switch_off(monkeypatch)
    with pytest.warns(edgebert.SlowBackendWarning) as caught:
        model = edgebert.load(bundle_path, artifact=ARTIFACT, threads=1, strict=strict)
    [warning] = caught
    assert warning.filename == __file__
    assert str(warning.message).startswith(f"Artifact {ARTIFACT} of tiny is slow here: XNNPACK, ")
    with model:
        [result] = model("a charming film")
        assert result["label"] == expected[0]["label"]
        assert result["score"] == pytest.approx(expected[0]["score"], abs=1e-4)
        explanation = model.explain()
    assert explanation.facts.details == {"XNNPACK": "not applied"}
    assert f"\nslow: {explanation.facts.slowdown}\n" in str(explanation)


def test_the_warning_can_be_made_an_error(bundle_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    switch_off(monkeypatch)
    with warnings.catch_warnings():
        warnings.simplefilter("error", edgebert.SlowBackendWarning)
        with pytest.raises(edgebert.SlowBackendWarning):
            edgebert.load(bundle_path, artifact=ARTIFACT, threads=1)
        edgebert.load(bundle_path, artifact="onnx-fp32", threads=1).close()


def test_verify_passes_it_and_says_so(bundle_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    switch_off(monkeypatch)
    found = {result.artifact: result for result in verify(bundle_path, threads=1)}
    assert {result.status for result in found.values()} == {"passed"}
    assert found[ARTIFACT].slowdown == "XNNPACK, which has TFLite's fast kernels, is not applied"
    assert found["onnx-fp32"].slowdown == found["openvino-fp32"].slowdown == ""


def test_a_product_left_to_other_kernels_is_said(
    checkpoint: tiny.Checkpoint, bundle_path: Path, tmp_path: Path
) -> None:
    model = (bundle_path / f"artifacts/{ARTIFACT}/model.tflite").read_bytes()
    files = {"model.tflite": refuse_a_product(model)}
    bundle = tiny.write_bundle(
        tmp_path / "left.edgebert", checkpoint, [(tiny.artifact(ARTIFACT, tolerance=0.5), files)]
    )
    with pytest.warns(
        edgebert.SlowBackendWarning, match=r"leaves 1 of \d+ FULLY_CONNECTED to others\. `edgebert doctor`"
    ):
        edgebert.load(bundle, threads=1).close()
