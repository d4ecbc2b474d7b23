from __future__ import annotations

from pathlib import Path

import pytest

from tests.jetson.board import FULL_VERSIONS, FakeBoard


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Half of it in float16, the normalisation in float32, with its weights in a file of their own."""
    import numpy as np
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    weights = np.random.default_rng(0).normal(size=(8, 4)).astype(np.float16)
    constants = {
        "words": np.linspace(-1, 1, 100 * 8, dtype=np.float32).reshape(100, 8),
        "weights": weights,
        "one": np.ones(4, np.float32),
        "zero": np.zeros(4, np.float32),
        "out": np.eye(4, 2, dtype=np.float32),
    }
    nodes = [
        helper.make_node("Gather", ["words", "ids"], ["embedded"], name="embed"),
        helper.make_node("Cast", ["embedded"], ["half"], name="to_half", to=TensorProto.FLOAT16),
        helper.make_node("MatMul", ["half", "weights"], ["product"], name="product"),
        helper.make_node("Cast", ["product"], ["single"], name="to_single", to=TensorProto.FLOAT),
        helper.make_node("LayerNormalization", ["single", "one", "zero"], ["normal"], name="norm"),
        helper.make_node("Erf", ["normal"], ["bent"], name="bend"),
        helper.make_node("ReduceMean", ["bent"], ["mean"], name="mean", axes=[1], keepdims=0),
        helper.make_node("MatMul", ["mean", "out"], ["scores"], name="classify"),
    ]
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info("ids", TensorProto.INT32, ["batch", "tokens"])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["batch", 2])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    path = tmp_path_factory.mktemp("model") / "model.onnx"
    whole = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(whole)
    onnx.save(whole, path, save_as_external_data=True, location="model.onnx.data", size_threshold=16)
    assert path.with_name("model.onnx.data").exists()
    return path


@pytest.fixture(scope="session")
def boards(tmp_path_factory: pytest.TempPathFactory) -> dict[str, FakeBoard]:
    """One of each version of TensorRT; a test that looks at the logs empties them first."""
    return {version: FakeBoard(tmp_path_factory.mktemp("board"), version) for version in FULL_VERSIONS}
