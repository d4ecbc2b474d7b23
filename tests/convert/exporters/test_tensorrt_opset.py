"""Opset 18 said in opset 17: the same answers, or a refusal."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
ort = pytest.importorskip("onnxruntime")
pytest.importorskip("torch")

from onnx import TensorProto, helper, numpy_helper  # noqa: E402

from edgebert.convert.exporters.tensorrt_opset import to_opset_17  # noqa: E402
from edgebert.errors import BackendError  # noqa: E402

X = np.random.default_rng(0).normal(size=(2, 3, 6)).astype(np.float32)


def model(operator: str, outputs: list[int], constants: dict[str, Any], **attributes: Any) -> Any:
    """One node of opset 18 that reads ``x`` [2, 3, 6] and the constants; its outputs have these ONNX types."""
    names = [f"y{index}" for index in range(len(outputs))]
    node = helper.make_node(operator, ["x", *constants], names, name="the_node", **attributes)
    graph = helper.make_graph(
        [node],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, X.shape)],
        [helper.make_tensor_value_info(name, kind, None) for name, kind in zip(names, outputs, strict=True)],
        [numpy_helper.from_array(np.array(value), name) for name, value in constants.items()],
    )
    return helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 18)])


def run(one: Any) -> Any:
    return ort.InferenceSession(one.SerializeToString(), providers=["CPUExecutionProvider"]).run(None, {"x": X})


@pytest.mark.parametrize(
    "one",
    [
        model("Split", [TensorProto.FLOAT] * 3, {}, axis=2, num_outputs=3),
        model("Split", [TensorProto.FLOAT] * 2, {"sizes": [1, 5]}, axis=2),
        model("ReduceL2", [TensorProto.FLOAT], {"axes": [1]}, keepdims=1, noop_with_empty_axes=0),
        model("ReduceL2", [TensorProto.FLOAT], {"axes": [0, -1]}, keepdims=0),
        model("Shape", [TensorProto.INT64], {}, start=0, end=1),
        model("Shape", [TensorProto.INT64], {}, start=1),
        model("Shape", [TensorProto.INT64], {}, end=-1),
        model("Shape", [TensorProto.INT64], {}),
        model("Softmax", [TensorProto.FLOAT], {}, axis=-1),
    ],
    ids=lambda one: str(one.graph.node[0].op_type),
)
def test_the_answers_are_the_same(one: Any) -> None:
    right = run(one)
    older = to_opset_17(one)
    assert older.opset_import[0].version == 17
    for ours, expected in zip(run(older), right, strict=True):
        assert ours.dtype == expected.dtype
        assert np.array_equal(ours, expected)


def test_an_operator_that_cannot_be_said_is_named() -> None:
    with pytest.raises(BackendError, match=r"ReduceMean \(the_node\) is another operator in opset 17"):
        to_opset_17(model("ReduceMean", [TensorProto.FLOAT], {"axes": [1]}))


def test_an_operator_that_is_new_is_named() -> None:
    with pytest.raises(BackendError, match=r"Mish \(the_node\) is another operator in opset 17"):
        to_opset_17(model("Mish", [TensorProto.FLOAT], {}))
