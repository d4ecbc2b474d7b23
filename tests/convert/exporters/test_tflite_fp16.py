"""Weights stored as float16: half the bytes, the same function, in every TFLite runtime."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

for package in ("torch", "transformers", "litert_torch", "ai_edge_quantizer"):
    pytest.importorskip(package)
interpreters = pytest.importorskip("ai_edge_litert.interpreter")

from ai_edge_litert import schema_py_generated as schema  # noqa: E402

from edgebert.convert.exporters.tflite_file import pack  # noqa: E402
from edgebert.convert.exporters.tflite_fp16 import store_as_float16  # noqa: E402
from tests.convert.conftest import BUCKETS, Exports  # noqa: E402

OLD_PYTHON = os.environ.get("EDGEBERT_TFLITE_RUNTIME_PYTHON")
RUN_OLD = """
import sys, numpy as np
from tflite_runtime.interpreter import Interpreter
interpreter = Interpreter(model_path=sys.argv[1], num_threads=1)
feeds = dict(np.load(sys.argv[2]))
np.save(sys.argv[3], interpreter.get_signature_runner(sys.argv[4])(**feeds)["logits"])
"""
WEIGHTS = (schema.BuiltinOperator.FULLY_CONNECTED, schema.BuiltinOperator.EMBEDDING_LOOKUP)


def read(path: Path) -> schema.ModelT:
    return schema.ModelT.InitFromPackedBuf(path.read_bytes(), 0)


def rewritten(source: Path, path: Path, change: Callable[[schema.ModelT], None]) -> Path:
    path.write_bytes(pack(source.read_bytes(), output_names=["logits"], edit=change))
    return path


def feeds(length: int, vocabulary: int) -> dict[str, Any]:
    mask = np.ones((1, length), np.int32)
    mask[:, length - length // 4 :] = 0
    ids = np.random.default_rng(length).integers(0, vocabulary, (1, length))
    return {"input_ids": ids.astype(np.int32) * mask, "attention_mask": mask}


def logits(path: Path, given: dict[str, Any]) -> Any:
    interpreter = interpreters.Interpreter(model_path=str(path), num_threads=1)
    return interpreter.get_signature_runner(f"length_{given['input_ids'].shape[1]}")(**given)["logits"]


def weights_of(model: schema.ModelT) -> dict[int, Any]:
    """The buffers that products and lookups read weights from."""
    found = {}
    for graph in model.subgraphs:
        for operator in graph.operators:
            if model.operatorCodes[operator.opcodeIndex].builtinCode in WEIGHTS:
                buffer = graph.tensors[operator.inputs[1]].buffer
                if model.buffers[buffer].data is not None:
                    found[buffer] = model.buffers[buffer]
    return found


def round_weights(model: schema.ModelT) -> None:
    """To numbers that float16 holds."""
    for buffer in weights_of(model).values():
        half = np.asarray(buffer.data, np.uint8).view(np.float32).astype(np.float16)
        buffer.data = half.astype(np.float32).view(np.uint8)


@pytest.fixture(scope="module")
def float32(exports: Exports) -> Path:
    return exports("tflite-fp32")[0] / "model.tflite"


@pytest.fixture(scope="module")
def vocabulary(exports: Exports) -> int:
    return int(exports.job.graph.module.get_parameter("encoder.words").shape[0])


def data_bytes(path: Path) -> int:
    return sum(len(buffer.data) for buffer in read(path).buffers if buffer.data is not None)


def test_weights_take_half_the_bytes_and_all_else_is_as_it_was(float32: Path, exports: Exports) -> None:
    half = exports("tflite-fp16")[0] / "model.tflite"
    weights = sum(len(buffer.data) for buffer in weights_of(read(float32)).values())
    assert weights > 0.8 * data_bytes(float32)
    assert data_bytes(float32) - data_bytes(half) == weights // 2


@pytest.mark.parametrize("length", BUCKETS)
def test_it_is_the_same_function_of_rounded_weights(
    float32: Path, tmp_path: Path, length: int, vocabulary: int
) -> None:
    """The arithmetic stays float32: nothing is lost but what the weights lose."""
    rounded = rewritten(float32, tmp_path / "rounded.tflite", round_weights)
    half = rewritten(float32, tmp_path / "half.tflite", store_as_float16)
    given = feeds(length, vocabulary)
    expected = logits(rounded, given)
    assert np.ptp(expected) > 0.1
    np.testing.assert_allclose(logits(half, given), expected, rtol=0, atol=1e-5)


def test_the_bits_of_every_row_survive_the_lookup(float32: Path, tmp_path: Path, vocabulary: int) -> None:
    """Subnormal numbers too, and the largest: the lookup moves bits and computes nothing."""

    def plant(model: schema.ModelT) -> None:
        _, table = max(weights_of(model).items(), key=lambda item: len(item[1].data))
        values = np.array(table.data, np.uint8).view(np.float32)
        values[: 4 * 8] = np.tile(np.array([6e-8, -6e-8, 60000, -60000], np.float32), 8)
        table.data = values.view(np.uint8)
        round_weights(model)

    planted = rewritten(float32, tmp_path / "planted.tflite", plant)
    half = rewritten(planted, tmp_path / "half.tflite", store_as_float16)
    given = feeds(BUCKETS[0], vocabulary)
    given["input_ids"][:] = 0
    np.testing.assert_allclose(logits(half, given), logits(planted, given), rtol=0, atol=1e-5)


def test_weights_that_float16_cannot_hold_stay_float32(float32: Path, tmp_path: Path, vocabulary: int) -> None:
    def enlarge(model: schema.ModelT) -> None:
        for buffer in weights_of(model).values():
            values = np.array(buffer.data, np.uint8).view(np.float32)
            values[0] = 1e5
            buffer.data = values.view(np.uint8)

    large = rewritten(float32, tmp_path / "large.tflite", enlarge)
    half = rewritten(large, tmp_path / "half.tflite", store_as_float16)
    assert half.stat().st_size == large.stat().st_size
    given = feeds(BUCKETS[0], vocabulary)
    np.testing.assert_array_equal(logits(half, given), logits(large, given))


@pytest.mark.full
@pytest.mark.skipif(not OLD_PYTHON, reason="EDGEBERT_TFLITE_RUNTIME_PYTHON names no Python with tflite-runtime")
@pytest.mark.parametrize("length", BUCKETS)
def test_the_oldest_runtime_computes_the_same(exports: Exports, tmp_path: Path, length: int, vocabulary: int) -> None:
    assert OLD_PYTHON is not None
    path = exports("tflite-fp16")[0] / "model.tflite"
    given = feeds(length, vocabulary)
    np.savez(tmp_path / "feeds.npz", **given)
    files = [str(file) for file in (path, tmp_path / "feeds.npz", tmp_path / "logits.npy")]
    subprocess.run([OLD_PYTHON, "-c", RUN_OLD, *files, f"length_{length}"], check=True, capture_output=True)
    np.testing.assert_allclose(np.load(tmp_path / "logits.npy"), logits(path, given), rtol=0, atol=1e-4)
