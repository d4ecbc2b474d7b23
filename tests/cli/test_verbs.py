"""inspect, targets, doctor, verify and bench, on a bundle that was really converted."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

for package in ("torch", "transformers", "optimum", "onnxscript", "onnxruntime"):
    pytest.importorskip(package)

from edgebert.bundle import BundleWriter, open_bundle  # noqa: E402
from edgebert.convert.pipeline import convert  # noqa: E402
from tests.cli.command import Result  # noqa: E402
from tests.convert import models, ruin  # noqa: E402

Edgebert = Callable[..., Result]
TEXT = "a charming film"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle with ONNX float32 and int8, and the texts it was calibrated with."""
    folder = tmp_path_factory.mktemp("verbs")
    models.save(models.trained_model(), folder / "checkpoint")
    board = models.write_target(folder / "board", ["onnx-int8", "onnx-fp32"])
    texts = models.write_texts(folder / "texts.txt", models.opinions(48))
    convert(str(folder / "checkpoint"), folder / "sst.edgebert", targets=[board], calibration=texts)
    return folder


def test_inspect_and_targets(edgebert: Edgebert, folder: Path) -> None:
    shown = edgebert("inspect", folder / "sst.edgebert").out
    assert "onnx-int8" in shown
    assert "any to 64" in shown
    data = json.loads(edgebert("inspect", folder / "sst.edgebert", "--json").out)
    assert data["digest"] == open_bundle(folder / "sst.edgebert").digest
    assert "arm64-linux" in edgebert("targets").out
    assert "buckets: 16" in edgebert("targets", "arm64-linux").out
    assert {target["name"] for target in json.loads(edgebert("targets", "--json").out)} >= {"x86-cpu", "android"}


def test_doctor(edgebert: Edgebert) -> None:
    done = edgebert("doctor")
    assert done.code == 0
    assert "onnx: onnxruntime" in done.out
    assert json.loads(edgebert("doctor", "--json").out)["usable"] is True


def test_verify(edgebert: Edgebert, folder: Path, tmp_path: Path) -> None:
    done = edgebert("verify", folder / "sst.edgebert")
    assert done.code == 0
    assert done.out.count("passed") == 2

    damaged = tmp_path / "damaged.edgebert"
    shutil.copytree(folder / "sst.edgebert", damaged)
    data = bytearray((damaged / "artifacts/onnx-int8/model.onnx.data").read_bytes())
    data[100] ^= 1
    (damaged / "artifacts/onnx-int8/model.onnx.data").write_bytes(data)
    assert "model.onnx.data" in edgebert("verify", damaged).refusal()

    ruined = tmp_path / "ruined.edgebert"
    old = open_bundle(folder / "sst.edgebert").manifest
    with BundleWriter(ruined) as writer:
        shutil.copytree(folder / "sst.edgebert", writer.staging, dirs_exist_ok=True)
        (writer.staging / "manifest.json").unlink()
        ruin.scale_weights(writer.staging / "artifacts/onnx-int8")
        paths = sorted((writer.staging / "artifacts/onnx-int8").iterdir())
        refs = tuple(writer.ref(f"artifacts/onnx-int8/{path.name}") for path in paths)
        artifacts = tuple(replace(a, files=refs) if a.id == "onnx-int8" else a for a in old.artifacts)
        writer.commit(replace(old, artifacts=artifacts))
    done = edgebert("verify", ruined)
    assert done.code == 4
    assert "onnx-int8: failed" in done.out
    assert "onnx-fp32: passed" in done.out
    warned = edgebert("predict", ruined, TEXT)
    assert warned.code == 0
    assert "Warning: Artifact onnx-int8" in warned.err
    assert edgebert("predict", ruined, TEXT, "--strict").refusal().count("onnx-int8") == 1


def test_bench(edgebert: Edgebert, folder: Path, tmp_path: Path) -> None:
    done = edgebert(
        "bench", folder / "sst.edgebert", "--length", "16", "--repetitions", "2", "--rounds", "1", "--texts",
        folder / "texts.txt", "--out", tmp_path / "bench.json", "--quiet",
    )  # fmt: skip
    assert done.code == 0, done.err
    assert "onnx-int8" in done.out
    assert json.loads((tmp_path / "bench.json").read_bytes())
