"""Every exporter: what it writes runs in its real engine and is the same model."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("optimum")

from edgebert.convert.exporters import ExportJob, exporter_for  # noqa: E402
from edgebert.convert.graph import Graph  # noqa: E402
from edgebert.convert.target import PRECISIONS  # noqa: E402
from tests.convert import models  # noqa: E402
from tests.convert.conftest import BUCKETS, Exports  # noqa: E402
from tests.runtime.tiny import WORDS, make_tokenizer  # noqa: E402

WORD_IDS = [make_tokenizer().token_to_id(word) for word in WORDS]
CLOSE = {"fp32": 1e-5, "fp16": 1e-2, "int8": 0.1}
"""Largest |logit difference|, as a share of the logits' range."""


def test_the_table_of_targets_is_that_of_the_exporters() -> None:
    for backend, precisions in PRECISIONS.items():
        try:
            exporter = exporter_for(backend)
        except ImportError as error:
            pytest.skip(f"{backend}: {error}")
        assert precisions == exporter.PRECISIONS
        assert exporter.TOOLS


def inputs(length: int, seed: int = 0) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Words, of the kind that calibration saw."""
    ids = np.array([[2, *np.random.default_rng(seed).choice(WORD_IDS, max(0, length - 2)), 3][:length]], np.int32)
    return ids, np.ones_like(ids)


@pytest.mark.parametrize("artifact", models.ALL_ARTIFACTS)
def test_the_artifact_is_close_to_the_graph(artifact: str, exports: Exports, open_artifact: Callable[..., Any]) -> None:
    engine = open_artifact(artifact)
    lengths = engine.shapes.buckets or (2, 3, 8, 17, 63, 64)
    answers, expected = [], []
    for length in lengths:
        for tokens in {length, max(2, length - 3)}:
            ids, mask = inputs(tokens, seed=tokens)
            ids, mask = (np.pad(array, ((0, 0), (0, length - tokens))) for array in (ids, mask))
            outputs = engine.run({"input_ids": ids, "attention_mask": mask})
            assert list(outputs) == ["logits"]
            assert outputs["logits"].dtype == np.float32
            answers.append(outputs["logits"])
            expected.append(models.graph_logits(exports.job.graph, ids, mask))
    reference = np.concatenate(expected)
    assert np.abs(np.concatenate(answers) - reference).max() <= CLOSE[artifact.split("-")[1]] * np.ptp(reference)
    engine.close()


@pytest.mark.parametrize("artifact", models.ALL_ARTIFACTS)
def test_shapes_requirements_and_words(artifact: str, exports: Exports) -> None:
    folder, exported = exports(artifact)
    backend, precision = artifact.split("-")
    if backend == "tflite":
        assert (exported.shapes.policy, exported.shapes.buckets) == ("buckets", BUCKETS)
    else:
        assert (exported.shapes.policy, exported.shapes.buckets) == ("dynamic", ())
    assert exported.shapes.max_length == 64
    assert exported.requires.runtimes
    assert ("int8" in exported.quantization) == (precision == "int8")
    assert all(path.is_file() and path.stat().st_size for path in folder.iterdir())


def test_onnx_is_written_also_where_the_working_directory_has_such_files(
    exports: Exports, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of onnx 1.23, which looks there for the file that it is to write elsewhere."""
    first = exports("onnx-fp32")[0]
    monkeypatch.chdir(first)
    (tmp_path / "again").mkdir()
    exporter_for("onnx").export(exports.job, "fp32", tmp_path / "again")
    assert {path.name: path.read_bytes() for path in (tmp_path / "again").iterdir()} == {
        path.name: path.read_bytes() for path in first.iterdir()
    }


def test_a_signature_per_bucket(exports: Exports) -> None:
    folder, _ = exports("tflite-int8")
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=str(folder / "model.tflite"))
    signatures = interpreter.get_signature_list()
    assert signatures == {
        f"length_{length}": {"inputs": ["attention_mask", "input_ids"], "outputs": ["logits"]} for length in BUCKETS
    }
    for length in BUCKETS:
        details = interpreter.get_signature_runner(f"length_{length}").get_input_details()
        assert {name: (tuple(d["shape"]), d["dtype"]) for name, d in details.items()} == {
            "input_ids": ((1, length), np.int32),
            "attention_mask": ((1, length), np.int32),
        }


@pytest.mark.parametrize("backend", ["openvino", "tflite"])
def test_files_of_fewer_bits_are_smaller(backend: str, exports: Exports) -> None:
    sizes = [
        sum(path.stat().st_size for path in exports(f"{backend}-{precision}")[0].iterdir() if path.suffix != ".xml")
        for precision in models.PRECISIONS[backend]
    ]
    assert sizes == sorted(set(sizes), reverse=True)


def job(tmp_path: Path, exports: Exports, **changes: Any) -> ExportJob:
    (tmp_path / "scratch").mkdir()
    return replace(exports.job, scratch=tmp_path / "scratch", _made={}, **changes)


def test_an_intermediate_is_made_once(tmp_path: Path, exports: Exports) -> None:
    one = job(tmp_path, exports)
    calls: list[Path] = []

    def make(folder: Path) -> None:
        calls.append(folder)
        (folder / "file").write_text("made")

    first, second = one.intermediate("a", make), one.intermediate("a", make)
    assert first == second == calls[0]
    assert (first / "file").read_text() == "made"
    assert one.intermediate("b", make) != first
    assert len(calls) == 2


@pytest.mark.parametrize("failure", [RuntimeError("no"), KeyboardInterrupt()])
def test_an_intermediate_that_failed_leaves_nothing_and_is_made_anew(
    tmp_path: Path, exports: Exports, failure: BaseException
) -> None:
    one = job(tmp_path, exports)

    def fail(folder: Path) -> None:
        (folder / "half").write_text("half")
        raise failure

    with pytest.raises(type(failure)):
        one.intermediate("a", fail)
    assert list(one.scratch.iterdir()) == []
    folder = one.intermediate("a", lambda folder: None)
    assert list(folder.iterdir()) == []


def test_torch_exports_once_for_onnx_and_openvino(
    tmp_path: Path, exports: Exports, monkeypatch: pytest.MonkeyPatch
) -> None:
    for library in ("onnx", "onnxscript", "onnxruntime", "openvino", "nncf"):
        pytest.importorskip(library)
    one = job(tmp_path, exports)
    real, calls = torch.onnx.export, []

    def counting(*args: Any, **options: Any) -> Any:
        calls.append(options["input_names"])
        return real(*args, **options)

    monkeypatch.setattr(torch.onnx, "export", counting)
    for artifact in ("onnx-fp32", "onnx-int8", "openvino-fp16", "openvino-int8"):
        backend, precision = artifact.split("-")
        (tmp_path / artifact).mkdir()
        exporter_for(backend).export(one, precision, tmp_path / artifact)
    assert len(calls) == 1


def test_telemetry_of_openvino_is_not_loaded(tmp_path: Path) -> None:
    """Both OpenVINO and NNCF would report over the network and write into the home directory."""
    import subprocess

    pytest.importorskip("nncf")
    pytest.importorskip("openvino")
    code = (
        "from edgebert.convert.exporters import exporter_for; exporter_for('openvino')\n"
        "from edgebert.runtime.engines.openvino import import_openvino; import_openvino()\n"
        "import sys; sys.exit('openvino_telemetry' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[3], timeout=120)
    assert done.returncode == 0


@pytest.mark.parametrize("positions", [3, 5, 16, 17])
def test_short_models(positions: int, tmp_path: Path, exports: Exports) -> None:
    """The example inputs of an export must fit the model."""
    pytest.importorskip("onnxscript")
    ort = pytest.importorskip("onnxruntime")
    graph = Graph(models.in_memory(models.random_model(max_position_embeddings=positions, n_layers=1)))
    short = job(tmp_path, exports, graph=graph, max_length=positions, buckets=(positions,))
    (tmp_path / "out").mkdir()
    exporter_for("onnx").export(short, "int8", tmp_path / "out")
    session = ort.InferenceSession(str(tmp_path / "out" / "model.onnx"), providers=["CPUExecutionProvider"])
    for length in {1, 2, positions}:
        ids, mask = inputs(length)
        (answer,) = session.run(["logits"], {"input_ids": ids, "attention_mask": mask})
        expected = models.graph_logits(graph, ids, mask)
        assert np.abs(answer - expected).max() < 0.15 * max(1.0, np.abs(expected).max())


def test_missing_libraries_are_import_errors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    monkeypatch.delitem(sys.modules, "edgebert.convert.exporters.onnx", raising=False)
    with pytest.raises(ImportError):
        exporter_for("onnx")
