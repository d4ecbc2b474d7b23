"""int8 ONNX: how weights are stored, and that a text's answer is its own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

onnx = pytest.importorskip("onnx")
pytest.importorskip("torch")
ort = pytest.importorskip("onnxruntime")

from onnx import TensorProto, helper, numpy_helper  # noqa: E402

from edgebert.convert.exporters.onnx_int8 import quantize, quantize_table, quantize_weight  # noqa: E402
from tests.convert import models  # noqa: E402
from tests.convert.conftest import Exports  # noqa: E402

TINIEST = 1e-30  # below, scales are so few bits that the bound of half a step does not hold; nor does it matter


@st.composite
def matrices(draw: st.DrawFn) -> NDArray[np.float32]:
    shape = draw(hnp.array_shapes(min_dims=2, max_dims=2, max_side=12))
    values = st.floats(-1e4, 1e4, width=32).filter(lambda x: x == 0 or abs(x) > TINIEST)
    matrix = draw(hnp.arrays(np.float32, shape, elements=values))
    if draw(st.booleans()):
        matrix[:, draw(st.integers(0, shape[1] - 1))] = 0
    if draw(st.booleans()):
        matrix[draw(st.integers(0, shape[0] - 1))] = 0
    return matrix


@settings(deadline=None)
@given(matrices())
def test_a_weight_is_off_by_half_a_step_of_its_column_at_most(weight: NDArray[np.float32]) -> None:
    quantized, scale = quantize_weight(weight)
    assert (quantized.dtype, quantized.shape) == (np.int8, weight.shape)
    assert (scale.dtype, scale.shape) == (np.float32, (weight.shape[1],))
    assert np.abs(quantized.astype(int)).max() <= 63
    error = np.abs(quantized * scale.astype(np.float64) - weight)
    assert (error <= scale * 0.5001).all()
    zero = (weight == 0).all(axis=0)
    assert (scale[zero] == 1).all()
    assert (quantized[:, zero] == 0).all()
    assert (scale > 0).all()
    assert (np.abs(quantized[:, ~zero].astype(int)).max(axis=0, initial=0) == 63).all()  # the range is used


@settings(deadline=None)
@given(matrices())
def test_an_embedding_is_off_by_half_a_step_of_its_row_at_most(table: NDArray[np.float32]) -> None:
    quantized, scale = quantize_table(table)
    assert (quantized.dtype, quantized.shape) == (np.int8, table.shape)
    assert (scale.dtype, scale.shape) == (np.float32, (table.shape[0], 1))
    assert np.abs(quantized.astype(int)).max() <= 127
    assert (np.abs(quantized * scale.astype(np.float64) - table) <= scale * 0.5001).all()
    zero = (table == 0).all(axis=1)
    assert (scale[zero] == 1).all()
    assert (quantized[zero] == 0).all()


def product(weight: NDArray[np.float32], rank: int = 2) -> Any:
    """``y = x W`` as a model."""
    lead = ["batch", "length"][: rank - 1]
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"])],
        "product",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [*lead, weight.shape[0]])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [*lead, weight.shape[1]])],
        [numpy_helper.from_array(weight, "w")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)


def run(model: Any, x: NDArray[np.float32]) -> NDArray[np.float32]:
    onnx.checker.check_model(model, full_check=True)
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    (answer,) = session.run(None, {"x": x})
    return np.asarray(answer)


@pytest.mark.parametrize("rank", [2, 3])
def test_a_quantized_product_is_close_row_by_row_whatever_the_rows_scale(rank: int) -> None:
    random = np.random.default_rng(0)
    weight = random.normal(size=(48, 32)).astype(np.float32)
    x = random.normal(size=(6, 48)).astype(np.float32) * np.array([[1e-6], [1e-2], [1], [30], [1e4], [0]], np.float32)
    answer = run(quantize(product(weight, rank)), x if rank == 2 else x.reshape(2, 3, 48)).reshape(6, 32)
    expected = x @ weight
    for row in range(5):
        assert np.abs(answer[row] - expected[row]).max() < 0.05 * np.abs(expected[row]).max()
    assert (answer[5] == 0).all()


def test_a_small_product_stays_float32() -> None:
    weight = np.random.default_rng(0).normal(size=(48, 3)).astype(np.float32)
    model = quantize(product(weight))
    assert [node.op_type for node in model.graph.node] == ["MatMul"]
    x = np.ones((2, 48), np.float32)
    np.testing.assert_allclose(run(model, x), x @ weight, rtol=1e-5)


def gemm(weight: NDArray[np.float32], bias: NDArray[np.float32] | None, **attributes: Any) -> Any:
    """``y = x W^T`` and a bias if there is one, as the exporter writes a dense layer on rows."""
    constants = {"w": weight, **({} if bias is None else {"b": bias})}
    graph = helper.make_graph(
        [helper.make_node("Gemm", ["x", *constants], ["y"], transB=1, **attributes)],
        "gemm",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", weight.shape[1]])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", weight.shape[0]])],
        [numpy_helper.from_array(array, name) for name, array in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)


@pytest.mark.parametrize("with_bias", [True, False])
def test_a_dense_layer_with_and_without_a_bias(with_bias: bool) -> None:
    """The exporter of torch leaves out a bias of zeros."""
    random = np.random.default_rng(0)
    weight = random.normal(size=(32, 48)).astype(np.float32)
    bias = random.normal(size=32).astype(np.float32) if with_bias else None
    x = random.normal(size=(5, 48)).astype(np.float32)
    model = quantize(gemm(weight, bias))
    kinds = [node.op_type for node in model.graph.node]
    assert "MatMulIntegerToFloat" in kinds
    assert "Gemm" not in kinds
    assert kinds.count("Add") == with_bias
    expected = x @ weight.T + (0 if bias is None else bias)
    assert np.abs(run(model, x) - expected).max() < 0.03 * np.abs(expected).max()


def test_a_bias_of_zeros_from_the_real_exporter() -> None:
    import torch

    pytest.importorskip("onnxscript")
    torch.manual_seed(0)
    layer = torch.nn.Linear(48, 32)
    torch.nn.init.zeros_(layer.bias)
    x = torch.randn(5, 48)
    program = torch.onnx.export(
        layer.eval(), (x,), dynamo=True, verbose=False, opset_version=18, input_names=["x"], output_names=["y"]
    )
    assert program is not None
    del program.model_proto.graph.value_info[:]
    model = quantize(program.model_proto)
    assert "MatMulIntegerToFloat" in [node.op_type for node in model.graph.node]
    expected = layer(x).detach().numpy()
    assert np.abs(run(model, x.numpy()) - expected).max() < 0.03 * np.abs(expected).max()


@pytest.mark.parametrize("attributes", [{"alpha": 0.5}, {"beta": 2.0}])
def test_a_scaled_dense_layer_stays_float32(attributes: dict[str, float]) -> None:
    random = np.random.default_rng(0)
    weight, bias = random.normal(size=(32, 48)).astype(np.float32), random.normal(size=32).astype(np.float32)
    model = quantize(gemm(weight, bias, **attributes))
    assert [node.op_type for node in model.graph.node] == ["Gemm"]
    x = random.normal(size=(2, 48)).astype(np.float32)
    expected = attributes.get("alpha", 1.0) * x @ weight.T + attributes.get("beta", 1.0) * bias
    np.testing.assert_allclose(run(model, x), expected, rtol=1e-4, atol=1e-4)


def test_extreme_rows_do_not_saturate_the_products() -> None:
    """u8 x s8 pairs are summed in int16 on x86 CPUs without VNNI: the largest values must not overflow there."""
    weight = np.full((64, 16), 2.0, np.float32)
    weight[:, 1::2] = -2.0
    x = np.full((1, 64), 5.0, np.float32)
    np.testing.assert_allclose(run(quantize(product(weight)), x), x @ weight, rtol=1e-3)


@pytest.fixture(scope="module")
def files(exports: Exports) -> Path:
    return exports("onnx-int8")[0]


@pytest.fixture(scope="module")
def engine(open_artifact: Callable[..., Any]) -> Any:
    return open_artifact("onnx-int8")


def test_the_file_keeps_no_float_copy_of_a_quantized_weight(exports: Exports, files: Path) -> None:
    float32 = onnx.load(exports("onnx-fp32")[0] / "model.onnx")
    int8 = onnx.load(files / "model.onnx")
    onnx.checker.check_model(int8, full_check=True)
    stored = {tensor.name: numpy_helper.to_array(tensor) for tensor in int8.graph.initializer}
    quantized = {name.removesuffix(".int8") for name in stored if name.endswith(".int8")}
    originals = {t.name: numpy_helper.to_array(t) for t in float32.graph.initializer}
    small = exports.job.graph.module
    # The word table, three projections and two feed-forward products a layer, the dense layer of the head.
    assert len(quantized) == 1 + 2 * 4 + 1 + 1, sorted(quantized)
    for name in quantized:
        assert stored[f"{name}.int8"].dtype == np.int8
        assert name not in stored
    floats = sum(array.size for array in stored.values() if array.dtype == np.float32)
    words, positions = small.get_parameter("encoder.words"), small.get_parameter("encoder.positions")
    of_weights = sum(originals[name].size for name in quantized if name in originals)
    assert of_weights >= words.numel() + 2 * (4 * 32 * 32 + 2 * 32 * 64)
    # What is left in float32: positions, scales, biases, norms and the classifier.
    assert floats < positions.numel() + words.shape[0] + 2500


def test_the_file_is_as_old_as_it_claims_and_tells_nothing_of_the_build_host(exports: Exports) -> None:
    for artifact, domains in (("onnx-fp32", {"": 18}), ("onnx-int8", {"": 18, "com.microsoft": 1})):
        folder = exports(artifact)[0]
        model = onnx.load(folder / "model.onnx")
        assert {entry.domain: entry.version for entry in model.opset_import} == domains
        assert model.ir_version == 8
        assert not model.functions
        assert not model.metadata_props
        for node in model.graph.node:
            assert not node.doc_string
            assert not node.metadata_props
        content = b"".join(path.read_bytes() for path in folder.iterdir())
        for trace in (
            b"site-packages",
            b".py",
            str(Path.home()).encode() + b"/",
            str(Path(__file__).parents[3]).encode(),
        ):
            assert trace not in content


def test_inputs_and_output_are_as_the_manifest_says(files: Path) -> None:
    session = ort.InferenceSession(str(files / "model.onnx"), providers=["CPUExecutionProvider"])
    assert {node.name: (node.type, node.shape) for node in session.get_inputs()} == {
        "input_ids": ("tensor(int32)", ["batch", "length"]),
        "attention_mask": ("tensor(int32)", ["batch", "length"]),
    }
    assert [(node.name, node.type) for node in session.get_outputs()] == [("logits", "tensor(float)")]


def rows(seed: int, lengths: list[int], vocabulary: int) -> list[NDArray[np.int32]]:
    random = np.random.default_rng(seed)
    return [random.integers(0, vocabulary, length).astype(np.int32) for length in lengths]


def together(engine: Any, texts: list[NDArray[np.int32]], width: int) -> NDArray[np.float32]:
    ids, mask = np.zeros((len(texts), width), np.int32), np.zeros((len(texts), width), np.int32)
    for index, text in enumerate(texts):
        ids[index, : len(text)] = text
        mask[index, : len(text)] = 1
    return np.asarray(engine.run({"input_ids": ids, "attention_mask": mask})["logits"])


@settings(max_examples=80, deadline=None)
@given(
    lengths=st.lists(st.integers(2, 40), min_size=1, max_size=6),
    padding=st.integers(0, 24),
    seed=st.integers(0, 2**32 - 1),
)
def test_neighbours_and_padding_change_no_answer(engine: Any, lengths: list[int], padding: int, seed: int) -> None:
    texts = rows(seed, lengths, 80)
    batch = together(engine, texts, max(lengths) + padding)
    for text, answer in zip(texts, batch, strict=True):
        np.testing.assert_allclose(together(engine, [text], len(text))[0], answer, rtol=0, atol=1e-5)


def test_answers_are_close_to_float32(engine: Any, exports: Exports) -> None:
    texts = rows(0, [2, 3, 9, 17, 33, 64] * 8, 80)
    expected = np.concatenate(
        [models.graph_logits(exports.job.graph, text[None], np.ones((1, len(text)), np.int32)) for text in texts]
    )
    answers = np.concatenate([together(engine, [text], len(text)) for text in texts])
    assert np.abs(answers - expected).max() < 0.1 * np.ptp(expected)
    assert (answers.argmax(axis=1) == expected.argmax(axis=1)).mean() >= 0.95
