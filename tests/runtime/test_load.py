"""Loading: selection in practice, ruined artifacts, fallback."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

import edgebert
from edgebert.bundle import Profile, Requires
from tests.runtime import tiny

Files = Mapping[str, Mapping[str, bytes]]
TEXT = "a charming film, not dull"


def ruin(onnx_file: bytes, factor: float) -> bytes:
    """The same graph with every float weight scaled: it opens, runs and answers wrongly."""
    model = onnx.load_from_string(onnx_file)
    for tensor in model.graph.initializer:
        if tensor.data_type == onnx.TensorProto.FLOAT:
            tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor) * np.float32(factor), tensor.name))
    return model.SerializeToString()


@pytest.fixture
def ruined_bundle(checkpoint: tiny.Checkpoint, artifact_files: Files, tmp_path: Path) -> Path:
    """Ruined ONNX first, with a correct hash; then two that are whole."""
    artifacts = [
        (tiny.artifact("onnx-fp32"), {"model.onnx": ruin(artifact_files["onnx-fp32"]["model.onnx"], 1.2)}),
        (tiny.artifact("tflite-fp32"), artifact_files["tflite-fp32"]),
        (tiny.artifact("openvino-fp32"), artifact_files["openvino-fp32"]),
    ]
    return tiny.write_bundle(tmp_path / "ruined.edgebert", checkpoint, artifacts)


@pytest.mark.parametrize("factor", [1.2, 0.0])
def test_a_ruined_artifact_is_passed_over_with_one_warning(
    checkpoint: tiny.Checkpoint, artifact_files: Files, tmp_path: Path, factor: float
) -> None:
    artifacts = [
        (tiny.artifact("onnx-fp32"), {"model.onnx": ruin(artifact_files["onnx-fp32"]["model.onnx"], factor)}),
        (tiny.artifact("openvino-fp32"), artifact_files["openvino-fp32"]),
    ]
    path = tiny.write_bundle(tmp_path / "b.edgebert", checkpoint, artifacts)
    with pytest.warns(edgebert.BackendFallbackWarning) as caught:
        model = edgebert.load(path)
    [warning] = caught
    assert "onnx-fp32" in str(warning.message)
    assert "self-test" in str(warning.message)
    assert warning.filename == __file__
    with model:
        assert model.artifact == "openvino-fp32"
        ours, theirs = model(TEXT)[0], checkpoint.pipeline()(TEXT)[0]
        assert ours == {"label": theirs["label"], "score": pytest.approx(theirs["score"], abs=1e-5)}
        failed, chosen = model.explain().verdicts
    assert (failed.artifact, failed.status, chosen.status) == ("onnx-fp32", "failed", "chosen")
    assert "the tolerance is" in failed.reason


def test_strict_raises_instead(ruined_bundle: Path) -> None:
    with pytest.raises(edgebert.SelfTestError, match="onnx-fp32"):
        edgebert.load(ruined_bundle, strict=True)


def test_a_pinned_ruined_artifact_is_not_replaced(ruined_bundle: Path) -> None:
    # Without a warning: nothing took its place, and the error says all.
    with pytest.raises(edgebert.SelectionError, match=r"onnx-fp32: .*self-test") as caught:
        edgebert.load(ruined_bundle, artifact="onnx-fp32")
    assert "Convert the checkpoint again" in caught.value.hint


def test_an_altered_file_is_passed_over_too(ruined_bundle: Path) -> None:
    file = ruined_bundle / "artifacts/tflite-fp32/model.tflite"
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)
    with pytest.warns(edgebert.BackendFallbackWarning) as caught:
        model = edgebert.load(ruined_bundle)
    assert [next(a for a in ("onnx", "tflite") if a in str(w.message)) for w in caught] == ["onnx", "tflite"]
    assert "model.tflite" in str(caught[1].message)
    assert model.artifact == "openvino-fp32"
    model.close()
    with pytest.raises(edgebert.IntegrityError, match=r"model\.tflite"):
        edgebert.load(ruined_bundle, backend="tflite", strict=True)


@pytest.mark.parametrize("name", ["tokenizer.json", "golden.npz"])
def test_altered_common_files_are_an_error(ruined_bundle: Path, name: str) -> None:
    data = bytearray((ruined_bundle / name).read_bytes())
    data[len(data) // 2] ^= 1
    (ruined_bundle / name).write_bytes(data)
    with pytest.raises(edgebert.IntegrityError, match=name):
        edgebert.load(ruined_bundle)


def test_an_artifact_that_cannot_run_here_is_told_without_a_warning(
    checkpoint: tiny.Checkpoint, artifact_files: Files, tmp_path: Path
) -> None:
    future = tiny.artifact("openvino-fp32", requires=Requires((), (), {"openvino": "2999.1"}))
    elsewhere = tiny.artifact("tflite-fp32", requires=Requires(("armv7l",), (), {"ai-edge-litert": "1"}))
    artifacts = [
        (future, artifact_files["openvino-fp32"]),
        (tiny.artifact("onnx-fp32"), artifact_files["onnx-fp32"]),
        (elsewhere, artifact_files["tflite-fp32"]),
    ]
    path = tiny.write_bundle(tmp_path / "b.edgebert", checkpoint, artifacts)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = edgebert.load(path, strict=True)
    with model:
        text = str(model.explain())
    lines = text.splitlines()
    assert lines[0].startswith("tiny: onnx-fp32 on onnxruntime ")
    assert [line.split()[0] for line in lines[-3:]] == ["openvino-fp32", "onnx-fp32", "tflite-fp32"]
    assert "cannot run: needs openvino >= 2999.1" in lines[-3]
    assert "chosen" in lines[-2]
    assert "cannot run: needs a CPU of architecture armv7l" in lines[-1]


def test_when_nothing_works_every_artifact_is_listed(
    checkpoint: tiny.Checkpoint, artifact_files: Files, tmp_path: Path
) -> None:
    artifacts = [
        (tiny.artifact("onnx-fp32", requires=Requires((), (), {"onnxruntime": "999"})), artifact_files["onnx-fp32"]),
        (
            tiny.artifact("tflite-fp32", requires=Requires(("armv7l",), (), {"ai-edge-litert": "1"})),
            artifact_files["tflite-fp32"],
        ),
    ]
    path = tiny.write_bundle(tmp_path / "b.edgebert", checkpoint, artifacts)
    with pytest.raises(edgebert.SelectionError) as caught:
        edgebert.load(path)
    assert "onnx-fp32: needs onnxruntime >= 999" in caught.value.message
    assert "tflite-fp32: needs a CPU of architecture armv7l" in caught.value.message
    assert "pip install" in caught.value.hint


def test_the_profile_decides_order_and_threads(
    checkpoint: tiny.Checkpoint, artifact_files: Files, tmp_path: Path
) -> None:
    artifacts = [(tiny.artifact(artifact_id), files) for artifact_id, files in artifact_files.items()]
    profiles = [Profile("any", (), None, ("tflite-fp32", "onnx-fp32"), 1)]
    path = tiny.write_bundle(tmp_path / "b.edgebert", checkpoint, artifacts, profiles=profiles)
    with edgebert.load(path) as model:
        explanation = model.explain()
        assert (explanation.chosen, explanation.profile, explanation.facts.threads) == ("tflite-fp32", "any", 1)
        assert [v.status for v in explanation.verdicts] == ["chosen", "not needed", "not needed"]
        assert "of profile any" in str(explanation)
    with edgebert.load(path, backend="onnx", threads=3) as model:
        assert model.artifact == "onnx-fp32"
        assert model.explain().facts.threads == 3


@pytest.mark.parametrize("threads", [0, -1, 1.0, True, "2"])
def test_a_wrong_number_of_threads_is_refused(bundle_path: Path, threads: object) -> None:
    with pytest.raises(edgebert.InputError, match="threads="):
        edgebert.load(bundle_path, threads=threads)  # type: ignore[arg-type]


def test_an_artifact_shorter_than_the_tokenizer_sets_the_limit(
    checkpoint: tiny.Checkpoint, artifact_files: Files, tmp_path: Path
) -> None:
    short = tiny.artifact("tflite-fp32", shapes=tiny.Shapes("buckets", 16, (8, 16)))
    path = tiny.write_bundle(tmp_path / "b.edgebert", checkpoint, [(short, artifact_files["tflite-fp32"])])
    with edgebert.load(path) as model:
        assert model.max_length == 16
        assert model("good film " * 40)[0]["label"] in model.labels
