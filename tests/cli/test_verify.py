"""``inspect`` and ``verify`` on bundles that are whole, damaged, ruined, foreign or broken."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.cli.command import Result

Edgebert = Callable[..., Result]


def damage(bundle: Path, name: str) -> None:
    """Changes one bit."""
    data = bytearray((bundle / name).read_bytes())
    data[len(data) // 2] ^= 1
    (bundle / name).write_bytes(data)


def ruin_onnx(bundle: Path) -> None:
    """Halves a matrix of the ONNX artifact, and gives the manifest the hash of what that makes."""
    onnx = pytest.importorskip("onnx")
    file = bundle / "artifacts/onnx-fp32/model.onnx"
    model = onnx.load(file)
    largest = max(model.graph.initializer, key=lambda tensor: np.prod(tensor.dims))
    largest.CopyFrom(onnx.numpy_helper.from_array(onnx.numpy_helper.to_array(largest) / 2, largest.name))
    onnx.save(model, file)
    manifest = json.loads((bundle / "manifest.json").read_text())
    [artifact] = [artifact for artifact in manifest["artifacts"] if artifact["id"] == "onnx-fp32"]
    [entry] = artifact["files"]
    entry.update(size=file.stat().st_size, sha256=hashlib.sha256(file.read_bytes()).hexdigest())
    (bundle / "manifest.json").write_text(json.dumps(manifest))


def test_inspect(edgebert: Edgebert, bundle: Path) -> None:
    result = edgebert("inspect", bundle)
    assert (result.code, result.err) == (0, "")
    assert "text-classification (single_label_classification): NEGATIVE, POSITIVE" in result.out
    assert "inputs up to 64 tokens" in result.out
    for name in ("onnx-fp32", "openvino-fp32"):
        assert f"\n{name} " in result.out
    whole = json.loads(edgebert("inspect", bundle, "--json").out)
    assert whole["digest"] == hashlib.sha256((bundle / "manifest.json").read_bytes()).hexdigest()
    assert [artifact["id"] for artifact in whole["artifacts"]] == ["onnx-fp32", "openvino-fp32"]


def test_inspect_needs_every_file(edgebert: Edgebert, bundle: Path) -> None:
    (bundle / "artifacts/onnx-fp32/model.onnx").unlink()
    assert "The bundle's file 'artifacts/onnx-fp32/model.onnx' is missing." in edgebert("inspect", bundle).refusal()


def test_a_whole_bundle(edgebert: Edgebert, bundle: Path) -> None:
    result = edgebert("verify", bundle)
    assert (result.code, result.err) == (0, "")
    files, *artifacts = result.out.splitlines()
    assert files == "files: all hashes match"
    assert [line.partition(" in ")[0] for line in artifacts] == ["onnx-fp32: passed", "openvino-fp32: passed"]
    results = json.loads(edgebert("verify", bundle, "--json", "--threads", "1").out)
    assert [(one["artifact"], one["status"]) for one in results] == [
        ("onnx-fp32", "passed"),
        ("openvino-fp32", "passed"),
    ]
    assert all(one["max_abs_diff"] <= one["tolerance"] for one in results)


def test_a_ruined_artifact_with_the_right_hash(edgebert: Edgebert, bundle: Path) -> None:
    ruin_onnx(bundle)
    result = edgebert("verify", bundle)
    assert (result.code, result.err) == (4, "")
    files, ruined, other = result.out.splitlines()
    assert files == "files: all hashes match"
    assert ruined.startswith("onnx-fp32: failed in onnxruntime ")
    assert "the tolerance is" in ruined
    assert other.startswith("openvino-fp32: passed")
    as_json = edgebert("verify", bundle, "--json")
    assert as_json.code == 4
    assert [one["status"] for one in json.loads(as_json.out)] == ["failed", "passed"]


def test_predict_passes_a_ruined_artifact_over(edgebert: Edgebert, bundle: Path) -> None:
    good = edgebert("predict", bundle, "good")
    ruin_onnx(bundle)
    result = edgebert("predict", bundle, "good")
    assert result.code == 0
    assert result.out == good.out
    [warning] = result.err.splitlines()
    assert warning.startswith(
        "Warning: Artifact onnx-fp32 of tiny is passed over: Artifact onnx-fp32 fails its self-test"
    )
    assert "fails its self-test" in edgebert("predict", bundle, "good", "--strict").refusal()
    assert "fails its self-test" in edgebert("predict", bundle, "good", "--artifact", "onnx-fp32").refusal()


@pytest.mark.parametrize("name", ["artifacts/onnx-fp32/model.onnx", "tokenizer.json", "golden.npz", "evidence.html"])
def test_a_damaged_file(edgebert: Edgebert, bundle: Path, name: str) -> None:
    damage(bundle, name)
    result = edgebert("verify", bundle)
    assert result.out == ""
    assert result.refusal().startswith(f"Error: The bundle's file '{name}' is altered: its SHA-256 is ")


def test_a_file_of_somebody_else(edgebert: Edgebert, bundle: Path) -> None:
    (bundle / "notes.txt").write_text("mine")
    assert "The bundle's file 'notes.txt' is not named by manifest.json." in edgebert("verify", bundle).refusal()


def test_where_nothing_can_run(edgebert: Edgebert, bundle: Path) -> None:
    manifest = json.loads((bundle / "manifest.json").read_text())
    for artifact in manifest["artifacts"]:
        artifact["requires"]["runtimes"] = dict.fromkeys(artifact["requires"]["runtimes"], "9999")
    (bundle / "manifest.json").write_text(json.dumps(manifest))
    result = edgebert("verify", bundle)
    assert result.refusal() == "Error: No artifact of the bundle can run here.\nHint: Run `edgebert doctor`."
    assert "onnx-fp32: cannot run: needs onnxruntime >= 9999" in result.out
    assert (
        "No artifact of tiny works on this machine:\n  onnx-fp32: needs" in edgebert("predict", bundle, "a").refusal()
    )


def test_a_manifest_that_breaks_the_format(edgebert: Edgebert, bundle: Path) -> None:
    manifest = json.loads((bundle / "manifest.json").read_text())
    (bundle / "manifest.json").write_text(json.dumps({**manifest, "colour": "red"}))
    for verb in ("inspect", "verify", "predict", "bench"):
        assert "colour" in edgebert(verb, bundle).refusal()
