"""TensorRT artifacts: explicit precision, finite in float16 whatever the mask, int8 where a plan computes in int8."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

onnx = pytest.importorskip("onnx")
ort = pytest.importorskip("onnxruntime")
torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from onnx import TensorProto, numpy_helper  # noqa: E402

from edgebert.assets import default_checkpoint  # noqa: E402
from edgebert.bundle.schema import TASKS  # noqa: E402
from edgebert.convert.checkpoint import load_checkpoint  # noqa: E402
from edgebert.convert.exporters import ExportJob, exporter_for  # noqa: E402
from edgebert.convert.graph import Graph  # noqa: E402
from tests.convert.conftest import BUCKETS, Exports  # noqa: E402
from tests.convert.random_inputs import padded_inputs  # noqa: E402
from tests.convert.test_heads import checkpoint_of, model_of  # noqa: E402

_READ_BY_8_6 = """
Add Cast Clip Concat Div Erf Expand Gather GatherElements Gemm MatMul Mul ReduceL2 ReduceSum Relu Reshape Shape Slice
Softmax Split Squeeze Sub Transpose Unsqueeze LayerNormalization
"""
READ_BY_8_6 = frozenset(_READ_BY_8_6.split())
"""From NVIDIA's operators of TensorRT 8.4 (onnx-tensorrt, docs/operators.md); the last one is from 8.6's changes."""

FLOATS = (TensorProto.FLOAT, TensorProto.FLOAT16)
Arrays = dict[str, NDArray[Any]]


def run(model: Any, feeds: Arrays) -> Arrays:
    options = ort.SessionOptions()
    options.log_severity_level = 4
    session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, feeds), strict=True))


def everything_shown(model: Any) -> Any:
    """The model with every floating-point tensor among its outputs."""
    shown = onnx.shape_inference.infer_shapes(model)
    known = {output.name for output in shown.graph.output}
    values = [value for value in shown.graph.value_info if value.type.tensor_type.elem_type in FLOATS]
    shown.graph.output.extend(value for value in values if value.name not in known)
    made = {name for node in shown.graph.node for name in node.output}
    assert len(shown.graph.output) > 0.6 * len(made)  # the others are shapes and int8
    return shown


@pytest.fixture(scope="module")
def half(exports: Exports) -> Any:
    return onnx.load(exports("tensorrt-fp16")[0] / "model.onnx")


@pytest.fixture(scope="module")
def int8(exports: Exports) -> Any:
    return onnx.load(exports("tensorrt-int8")[0] / "model.onnx")


def test_float32_is_the_onnx_artifact(exports: Exports) -> None:
    one, other = exports("tensorrt-fp32")[0], exports("onnx-fp32")[0]
    assert (one / "model.onnx.data").read_bytes() == (other / "model.onnx.data").read_bytes()
    models = [onnx.load(folder / "model.onnx") for folder in (one, other)]
    assert [model.opset_import[0].version for model in models] == [17, 18]
    for length in (1, 16, 64):
        inputs = padded_inputs(np.random.default_rng(length), 2, length)
        inputs.pop("positions")
        ours, right = (run(model, inputs)["logits"] for model in models)
        assert np.array_equal(ours, right)


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_what_tensorrt_8_reads_has_nothing_newer_than_opset_17(precision: str, exports: Exports) -> None:
    model = onnx.load(exports(f"tensorrt-{precision}")[0] / "model.onnx")
    onnx.checker.check_model(model, full_check=True)
    assert [(one.domain, one.version) for one in model.opset_import] == [("", 17)]
    splits = [node for node in model.graph.node if node.op_type == "Split"]
    assert splits and all([one.name for one in node.attribute] == ["axis"] for node in splits)
    shapes = [node for node in model.graph.node if node.op_type == "Shape"]
    assert shapes and not any(node.attribute for node in shapes)


@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8"])
def test_the_recipe_has_a_profile_of_one_shape_for_each_bucket(precision: str, exports: Exports) -> None:
    folder, exported = exports(f"tensorrt-{precision}")
    recipe = json.loads((folder / "recipe.json").read_bytes())
    assert (recipe["format"], recipe["precision"], recipe["workspace_mb"]) == ("edgebert-tensorrt/1", precision, 64)
    for bucket, profile in zip(BUCKETS, recipe["profiles"], strict=True):
        assert profile == {
            name: {"min": [1, bucket], "opt": [1, bucket], "max": [1, bucket]}
            for name in ("input_ids", "attention_mask")
        }
    assert exported.shapes.buckets == BUCKETS
    assert exported.requires.accelerator == "cuda"
    assert exported.requires.runtimes == {"tensorrt": "10.0" if precision == "int8" else "8.6"}
    assert exported.stand_in is not None and exported.stand_in.backend == "onnx"


def test_weights_are_float16_and_normalisations_float32(half: Any) -> None:
    sizes = {FLOATS[0]: 0, FLOATS[1]: 0}
    for tensor in half.graph.initializer:
        if tensor.data_type in sizes:
            sizes[tensor.data_type] += numpy_helper.to_array(tensor).size
    head = 32 * 32 + 32 + 32 * 3 + 3
    norms = 5 * 2 * 32
    assert sizes[TensorProto.FLOAT] <= head + norms + 8
    assert sizes[TensorProto.FLOAT16] > 10_000
    shown = onnx.shape_inference.infer_shapes(half)
    types = {value.name: value.type.tensor_type.elem_type for value in shown.graph.value_info}
    norms_read = [node.input[0] for node in half.graph.node if node.op_type == "LayerNormalization"]
    assert norms_read and all(types[name] == TensorProto.FLOAT for name in norms_read)


def test_the_float32_graph_is_left_as_it_was(exports: Exports) -> None:
    graph = exports.job.graph
    before = {name: tensor.dtype for name, tensor in graph.module.state_dict().items()}
    other = graph.in_float16()
    assert {tensor.dtype for tensor in other.module.state_dict().values()} == {torch.float16, torch.float32}
    assert {name: tensor.dtype for name, tensor in graph.module.state_dict().items()} == before
    inputs = padded_inputs(np.random.default_rng(0), 3, 16)
    right, ours = graph.run(inputs)["logits"], other.run(inputs)["logits"]
    assert ours.dtype == np.float32
    assert 0 < np.abs(right - ours).max() < 1e-2 * max(1, np.abs(right).max())


def check_every_layer_is_finite(model: Any, lengths: tuple[int, ...], vocabulary: int) -> None:
    """Rows of padding alone, of one token, and full ones."""
    shown = everything_shown(model)
    for length in lengths:
        ids = np.random.default_rng(length).integers(0, vocabulary, (3, length)).astype(np.int32)
        mask = np.ones((3, length), np.int32)
        mask[0] = 0
        mask[1, 1:] = 0
        for name, values in run(shown, {"input_ids": ids, "attention_mask": mask}).items():
            assert np.isfinite(values).all(), (length, name)


@pytest.mark.parametrize("kind", ["fp16", "int8"])
def test_every_layer_is_finite_whatever_the_mask(kind: str, half: Any, int8: Any) -> None:
    check_every_layer_is_finite(half if kind == "fp16" else int8, (1, *BUCKETS), 20)


@pytest.mark.parametrize("precision", ["fp16", "int8"])
def test_every_layer_of_the_embedded_checkpoint_is_finite(precision: str, tmp_path: Path) -> None:
    checkpoint = load_checkpoint(str(default_checkpoint()))
    graph = Graph(checkpoint)
    random = np.random.default_rng(0)
    calibration = [
        {name: values for name, values in padded_inputs(random, 1, length).items() if name in graph.inputs}
        for length in (8, 16, 32)
    ]
    job = ExportJob(graph, checkpoint.max_length, (16, 128, 512), calibration, tmp_path, workspace_mb=64)
    folder = tmp_path / "artifact"
    folder.mkdir()
    exporter_for("tensorrt").export(job, precision, folder)
    check_every_layer_is_finite(onnx.load(folder / "model.onnx"), job.buckets, checkpoint.config["vocab_size"])


def test_a_planted_overflow_would_be_seen(half: Any) -> None:
    planted = onnx.ModelProto()
    planted.CopyFrom(half)
    for tensor in planted.graph.initializer:
        if tensor.data_type == TensorProto.FLOAT16:
            values = numpy_helper.to_array(tensor)
            if values.size == 1 and values.item() == -1e4:
                tensor.CopyFrom(numpy_helper.from_array(np.array(-np.inf, np.float16), tensor.name))
                break
    else:
        pytest.fail("the mask's bias is not among the constants")
    ids = np.zeros((1, 8), np.int32)
    outputs = run(everything_shown(planted), {"input_ids": ids, "attention_mask": np.zeros_like(ids)})
    assert not all(np.isfinite(values).all() for values in outputs.values())


def test_products_are_int8_on_both_sides_with_zero_points_of_zero(int8: Any) -> None:
    assert int8.opset_import[0].version == 19
    made_by = {name: node for node in int8.graph.node for name in node.output}
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in int8.graph.initializer}
    products = [node for node in int8.graph.node if node.op_type == "MatMul"]
    quantized = 0
    for node in products:
        sides = [made_by.get(name) for name in node.input]
        kinds = [side.op_type if side else None for side in sides]
        if kinds != ["DequantizeLinear", "DequantizeLinear"]:
            assert "DequantizeLinear" not in kinds  # attention: float16 on both
            continue
        quantized += 1
        x, w = sides
        assert made_by[x.input[0]].op_type == "QuantizeLinear"
        assert constants[x.input[1]].shape == () and constants[x.input[1]].dtype == np.float16
        weight, scales = constants[w.input[0]], constants[w.input[1]]
        assert weight.dtype == np.int8 and scales.shape == (weight.shape[1],)
        assert (np.abs(weight.astype(int)).max(axis=0) == 127).all()  # the range is used
        assert not constants[x.input[2]].any() and not constants[w.input[2]].any()
    assert quantized == 9  # four products a layer; the last layer's queries have one of their own
    assert len(products) == quantized + 4


def test_what_int8_answers_is_close(exports: Exports, half: Any, int8: Any) -> None:
    rows = exports.job.calibration[:32]
    right = np.concatenate([exports.job.graph.run(one)["logits"] for one in rows])
    spread = np.ptp(right)
    for model, close in ((half, 0.01), (int8, 0.1)):
        ours = np.concatenate([run(model, dict(one))["logits"] for one in rows])
        assert 0 < np.abs(ours - right).max() < close * spread
        assert (ours.argmax(1) == right.argmax(1)).mean() > 0.96


@pytest.mark.parametrize(
    "task",
    # Six seconds each; what differs between tasks is the head.
    [task if task == "text-classification" else pytest.param(task, marks=pytest.mark.full) for task in TASKS],
)
def test_every_task_is_accepted_by_tensorrt_rtx(task: str, tmp_path: Path) -> None:
    rtx = pytest.importorskip("tensorrt_rtx", reason="TensorRT-RTX is not installed (the extra tensorrt-check)")
    graph = Graph(checkpoint_of(task, model_of(task, 0)))
    longest = padded_inputs(np.random.default_rng(1), 1, 16)
    one = {name: longest.get(name, np.array([[3]], np.int32)) for name in graph.inputs}
    job = ExportJob(graph, 64, (16, 64), [one], tmp_path, workspace_mb=64)
    for precision in ("fp32", "fp16", "int8"):
        folder = tmp_path / precision
        folder.mkdir()
        exported = exporter_for("tensorrt").export(job, precision, folder)
        assert exported.stand_in is not None
        remarks = exported.stand_in.remarks
        assert remarks[f"TensorRT-RTX {rtx.__version__}"].startswith("builds it for SM86")
        assert ("float16" in remarks) == (precision != "fp32")
        model = onnx.load(folder / "model.onnx")
        assert model.opset_import[0].version == (19 if precision == "int8" else 17)
        assert precision == "int8" or {node.op_type for node in model.graph.node} <= READ_BY_8_6
        outputs = run(model, one)
        for name, right in graph.run(one).items():
            assert (outputs[name].dtype, outputs[name].shape) == (np.float32, right.shape)
