"""Fused operators: the same answers from fewer nodes, and chains of another form left alone."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

onnx = pytest.importorskip("onnx")
pytest.importorskip("torch")
ort = pytest.importorskip("onnxruntime")

from onnx import TensorProto, helper, numpy_helper  # noqa: E402

from edgebert.convert.exporters.onnx_fusion import fuse  # noqa: E402
from tests.convert.conftest import Exports  # noqa: E402

LAYERS = 2


def kinds(model: Any) -> Counter[str]:
    return Counter(node.op_type for node in model.graph.node)


def answers(model: Any, feeds: dict[str, NDArray[Any]]) -> list[NDArray[np.float32]]:
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return [np.asarray(output) for output in session.run(None, feeds)]


def exported(exports: Exports) -> Any:
    return onnx.load(Path(exports("onnx-fp32")[0]) / "model.onnx")


def test_an_encoder_has_one_operator_for_attention_and_one_for_gelu_in_each_layer(exports: Exports) -> None:
    before, after = kinds(exported(exports)), kinds(fuse(exported(exports)))
    assert before["Softmax"] == before["Erf"] == LAYERS
    assert after["MultiHeadAttention"] == after["BiasGelu"] == LAYERS
    assert not {"Softmax", "Erf", "Transpose", "Div"} & after.keys()
    assert after["LayerNormalization"] == before["LayerNormalization"]


@pytest.mark.parametrize("lengths", [[1], [7], [61], [5, 9, 2], [3, 3]])
def test_the_answers_are_those_of_the_standard_operators(exports: Exports, lengths: list[int]) -> None:
    random = np.random.default_rng(len(lengths))
    ids = random.integers(0, 80, (len(lengths), max(lengths) + 3)).astype(np.int32)
    mask = (np.arange(ids.shape[1]) < np.array(lengths)[:, None]).astype(np.int32)
    feeds = {"input_ids": ids, "attention_mask": mask}
    [expected], [fused] = answers(exported(exports), feeds), answers(fuse(exported(exports)), feeds)
    np.testing.assert_allclose(fused, expected, rtol=0, atol=1e-5 * np.abs(expected).max())


def gelu(plus: float, *, also: bool = False) -> Any:
    """``x / sqrt 2 -> erf -> + plus -> * 0.5 -> * x``; with ``also``, the sum is an output as well."""
    nodes = [
        helper.make_node("Div", ["x", "root"], ["divided"]),
        helper.make_node("Erf", ["divided"], ["erf"]),
        helper.make_node("Add", ["erf", "plus"], ["sum"]),
        helper.make_node("Mul", ["sum", "half"], ["halved"]),
        helper.make_node("Mul", ["x", "halved"], ["y"]),
    ]
    constants = {"root": 2**0.5, "plus": plus, "half": 0.5}
    outputs = ["y", "sum"] if also else ["y"]
    graph = helper.make_graph(
        nodes, "gelu",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 4])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 4]) for name in outputs],
        [numpy_helper.from_array(np.array(value, np.float32), name) for name, value in constants.items()],
    )  # fmt: skip
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)


def test_gelu_without_a_bias() -> None:
    feeds = {"x": np.linspace(-6, 6, 20, dtype=np.float32).reshape(5, 4)}
    fused = fuse(gelu(1.0))
    assert kinds(fused) == {"Gelu": 1}
    np.testing.assert_allclose(answers(fused, feeds)[0], answers(gelu(1.0), feeds)[0], atol=1e-6)


@pytest.mark.parametrize("model", [gelu(0.9), gelu(1.0, also=True)], ids=["another constant", "a middle that is read"])
def test_what_only_resembles_gelu_stays(model: Any) -> None:
    before = model.SerializeToString()
    assert fuse(model).SerializeToString() == before
