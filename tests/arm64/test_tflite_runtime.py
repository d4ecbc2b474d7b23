"""The old TFLite runtime on emulated CPUs: its kernel for dot products crashes, so that int8 must not be sent there."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("ai_edge_litert")
flatbuffers = pytest.importorskip("flatbuffers")
pytest.importorskip("torch", reason="the benchmark that installs the old runtime converts")

from ai_edge_litert import schema_py_generated as schema  # noqa: E402

from benchmarks.tflite_emulated import make_boards  # noqa: E402
from tests.arm64.packages import Unavailable  # noqa: E402
from tests.arm64.root import Board  # noqa: E402

pytestmark = pytest.mark.full  # installs the old runtime from the package index

_RUN = """
import sys
import numpy as np
from tflite_runtime.interpreter import Interpreter
interpreter = Interpreter(sys.argv[1])
interpreter.allocate_tensors()
interpreter.set_tensor(0, np.load(sys.argv[2]))
interpreter.invoke()
np.save(sys.argv[3], interpreter.get_tensor(2))
"""


@pytest.fixture(scope="module")
def old_board(tmp_path_factory: pytest.TempPathFactory) -> Board:
    try:
        [(_, board)] = make_boards(tmp_path_factory.mktemp("old"), ("tflite-runtime",))
    except Unavailable as error:
        pytest.skip(str(error))
    return board


def make(table: str, **fields: object) -> Any:
    made = getattr(schema, f"{table}T")()
    vars(made).update(fields)
    return made


def product(x: Any, weights: Any) -> bytes:
    """One FULLY_CONNECTED of float32 ``x`` and int8 weights whose one scale is 1."""
    one = make("QuantizationParameters", scale=np.ones(1, np.float32), zeroPoint=np.zeros(1, np.int64))
    tensors = [make("Tensor", name="x", shape=x.shape, type=schema.TensorType.FLOAT32)]
    tensors += [make("Tensor", name="w", shape=weights.shape, type=schema.TensorType.INT8, buffer=1, quantization=one)]
    tensors += [make("Tensor", name="y", shape=(len(x), len(weights)), type=schema.TensorType.FLOAT32)]
    kind = schema.BuiltinOperator.FULLY_CONNECTED
    graph = make("SubGraph", tensors=tensors, inputs=[0], outputs=[2])
    graph.operators = [make("Operator", inputs=[0, 1], outputs=[2])]
    code = make("OperatorCode", builtinCode=kind, deprecatedBuiltinCode=kind, version=3)
    buffers = [make("Buffer"), make("Buffer", data=weights.view(np.uint8).ravel())]
    model = make("Model", version=3, operatorCodes=[code], subgraphs=[graph], buffers=buffers)
    builder = flatbuffers.Builder()
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


@pytest.mark.parametrize(
    ("cpu", "columns", "crashes"),
    [("cortex-a72", 16, False), ("cortex-a76", 16, True), ("cortex-a76", 24, False)],
)
def test_four_rows_of_sixteen_columns_crash_where_there_is_a_dot_product(
    old_board: Board, tmp_path: Path, cpu: str, columns: int, crashes: bool
) -> None:
    """If this fails, what docs/explanation/tflite-runtimes.md says of the kernel is no longer true."""
    rng = np.random.default_rng(0)
    x, weights = rng.normal(size=(4, columns)).astype(np.float32), rng.integers(-127, 128, (4, columns), np.int8)
    program, model, given, out = (tmp_path / name for name in ("run.py", "model.tflite", "x.npy", "y.npy"))
    program.write_text(_RUN)
    model.write_bytes(product(x, weights))
    np.save(given, x)
    done = old_board.run(cpu, [program, model, given, out])
    assert done.returncode == (-signal.SIGSEGV if crashes else 0), done.stderr
    if not crashes:
        expected = x @ weights.T.astype(np.float32)
        np.testing.assert_allclose(np.load(out), expected, rtol=0, atol=0.02 * np.abs(expected).max())
