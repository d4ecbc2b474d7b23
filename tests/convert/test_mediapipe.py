"""Files in MediaPipe's layout: what is in them, that they compute what the artifact does, that MediaPipe opens them."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")
schema = pytest.importorskip("ai_edge_litert.schema_py_generated")

from edgebert.convert.checkpoint import Checkpoint  # noqa: E402
from edgebert.convert.mediapipe_engine import MediapipeEngine  # noqa: E402
from edgebert.convert.mediapipe_model import relayout  # noqa: E402
from edgebert.convert.mediapipe_tokenizer import MediapipeTokenizer  # noqa: E402
from edgebert.runtime.tokenization import TextTokenizer  # noqa: E402
from tests.convert import models  # noqa: E402
from tests.convert.mediapipe_python import ask, needs_mediapipe  # noqa: E402

LENGTH = 16
FUNCTIONS = ("softmax", "sigmoid", None)
PRECISIONS = ("fp32", "fp16", "int8")


@pytest.fixture(scope="module", params=PRECISIONS)
def artifact(request: pytest.FixtureRequest, exports: Any) -> str:
    name = f"tflite-{request.param}"
    exports(name)
    return name


@pytest.fixture
def make(artifact: str, exports: Any, small: Checkpoint) -> Any:
    """The bytes of a file of the small checkpoint's artifact."""

    def call(function: str | None = "softmax", length: int = LENGTH) -> bytes:
        return relayout(
            (exports(artifact)[0] / "model.tflite").read_bytes(),
            length=length,
            function=function,
            vocabulary=MediapipeTokenizer(small.tokenizer_json, max_length=length).vocabulary,
            labels=small.task.labels if function else (),
            name="tiny",
            description="For tests.",
        )

    return call


def expected(function: str | None, logits: Any) -> Any:
    if function == "softmax":
        return np.exp(logits) / np.exp(logits).sum()
    return 1 / (1 + np.exp(-logits)) if function == "sigmoid" else logits


@pytest.mark.parametrize("function", FUNCTIONS)
def test_the_scores_are_those_of_the_artifact(
    make: Any, artifact: str, open_artifact: Any, small: Checkpoint, tmp_path: Path, function: str | None
) -> None:
    path = tmp_path / "model.tflite"
    path.write_bytes(make(function))
    tokenizer = TextTokenizer(small.tokenizer_json, max_length=LENGTH, pad_id=small.pad_id)
    engine = MediapipeEngine(path, name="tiny", length=LENGTH, output="logits", function=function, threads=1)
    source = open_artifact(artifact)
    for text in models.texts(20, longest=10):
        ids = tokenizer.encode(text, truncation=True)[0].input_ids
        inputs = {name: np.zeros((1, LENGTH), np.int32) for name in ("input_ids", "attention_mask")}
        inputs["input_ids"][0, : len(ids)], inputs["attention_mask"][0, : len(ids)] = ids, 1
        scores = expected(function, source.run(inputs)["logits"]) - (0.5 if function == "sigmoid" else 0.0)
        inputs["input_ids"][0, len(ids) :] = 7  # MediaPipe has zeros there, and so has the engine, whatever it is given
        np.testing.assert_allclose(engine.run(inputs)["logits"], scores, atol=1e-5)
    engine.close()
    source.close()


def test_the_file_has_what_mediapipe_looks_for(make: Any, small: Checkpoint) -> None:
    data = make()
    model = schema.ModelT.InitFromPackedBuf(data, 0)
    [graph] = model.subgraphs
    tensors = [graph.tensors[index] for index in graph.inputs]
    assert [tensor.name.decode() for tensor in tensors] == ["ids", "segment_ids", "mask"]
    assert {tensor.type for tensor in tensors} == {schema.TensorType.INT32}
    assert {tuple(tensor.shape) for tensor in tensors} == {(1, LENGTH)}
    used = {tensor.buffer for tensor in graph.tensors} | {entry.buffer for entry in model.metadata}
    assert used | {0} == set(range(len(model.buffers)))
    [entry] = model.metadata
    assert (entry.name, bytes(model.buffers[entry.buffer].data[4:8])) == (b"TFLITE_METADATA", b"M001")
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert {info.compress_type for info in archive.infolist()} == {zipfile.ZIP_STORED}
        assert archive.read("labels.txt").decode().splitlines() == list(small.task.labels)
        assert archive.read("vocab.txt").decode().splitlines()[2] == "[CLS]"


def test_an_embedder_has_no_labels(make: Any) -> None:
    with zipfile.ZipFile(io.BytesIO(make(None))) as archive:
        assert archive.namelist() == ["vocab.txt"]


def test_the_same_artifact_gives_the_same_bytes(make: Any) -> None:
    assert make() == make()


def test_a_length_that_the_artifact_lacks(make: Any) -> None:
    with pytest.raises(ValueError, match="length_17"):
        make(length=17)


@needs_mediapipe
def test_mediapipes_own_schema_reads_the_metadata(make: Any, tmp_path: Path) -> None:
    path = tmp_path / "metadata"
    model = schema.ModelT.InitFromPackedBuf(make(), 0)
    path.write_bytes(bytes(model.buffers[model.metadata[0].buffer].data))
    metadata = ask("metadata", path)
    assert (metadata["name"], metadata["description"], metadata["minParserVersion"]) == ("tiny", "For tests.", "1.1.0")
    [subgraph] = metadata["subgraphMetadata"]
    assert [tensor["name"] for tensor in subgraph["inputTensorMetadata"]] == ["ids", "segment_ids", "mask"]
    [unit] = subgraph["inputProcessUnits"]
    assert unit["optionsType"] == 4  # BertTokenizerOptions
    [vocabulary] = unit["options"]["vocabFile"]
    assert (vocabulary["name"], vocabulary["type"]) == ("vocab.txt", 5)  # VOCABULARY
    [output] = subgraph["outputTensorMetadata"]
    [labels] = output["associatedFiles"]
    assert (output["name"], labels["name"], labels["type"]) == ("probability", "labels.txt", 2)  # TENSOR_AXIS_LABELS


@needs_mediapipe
@pytest.mark.parametrize("function", FUNCTIONS)
def test_mediapipe_answers_what_the_artifact_does(
    make: Any, artifact: str, open_artifact: Any, small: Checkpoint, tmp_path: Path, function: str | None
) -> None:
    path = tmp_path / "model.tflite"
    path.write_bytes(make(function))
    texts = ["", *models.texts(20, longest=40), "Die Straße, déjà vu"]
    answers = ask("classify" if function else "embed", path, texts)
    tokenizer = MediapipeTokenizer(small.tokenizer_json, max_length=LENGTH)
    source = open_artifact(artifact)
    for text, answer in zip(texts, answers, strict=True):
        ids = tokenizer.encode(text)[0].input_ids
        inputs = {name: np.zeros((1, LENGTH), np.int32) for name in ("input_ids", "attention_mask")}
        inputs["input_ids"][0, : len(ids)], inputs["attention_mask"][0, : len(ids)] = ids, 1
        scores = expected(function, source.run(inputs)["logits"][0])
        got = [answer[label] for label in small.task.labels] if function else answer
        # MediaPipe has an XNNPACK of its own: another version, which sums in another order.
        np.testing.assert_allclose(got, scores, atol=1e-5 if artifact == "tflite-fp32" else 2e-2)
    source.close()
