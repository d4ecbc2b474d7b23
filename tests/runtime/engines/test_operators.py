"""What engines say they execute, against what their backends say elsewhere."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from edgebert.bundle import open_bundle
from edgebert.bundle.schema import TASKS
from edgebert.errors import BackendError, OutputError
from edgebert.runtime.engines import Execution, Operator
from edgebert.runtime.engines.base import count_operators, plain_inputs
from edgebert.runtime.engines.tflite_graph import BUILTIN, XNNPACK, read_graph, with_graph_first
from tests.runtime import tiny
from tests.runtime.xnnpack import litert, refuse_a_product, switch_off

Files = Mapping[str, Mapping[str, bytes]]

TASK = TASKS["text-classification"]


def execution(bundle: Path, artifact: str, length: int = tiny.BUCKETS[0]) -> Execution:
    engine = tiny.open_engine(open_bundle(bundle), artifact, threads=1)
    try:
        return engine.execution(plain_inputs(TASK, length))
    finally:
        engine.close()


def operators(bundle: Path, artifact: str, length: int = tiny.BUCKETS[0]) -> tuple[Operator, ...]:
    return execution(bundle, artifact, length).operators


def types(listed: Sequence[Operator]) -> Counter[str]:
    counts: Counter[str] = Counter()
    for one in listed:
        counts[one.type] += one.count
    return counts


def graph_of(model: bytes, **options: object):
    interpreter = litert().Interpreter(model_content=model, **options)
    interpreter.allocate_tensors()
    return read_graph(interpreter)


def delegates(model: bytes, **options: object) -> int:
    interpreter = litert().Interpreter(model_content=model, **options)
    interpreter.allocate_tensors()
    return [node["op_name"] for node in interpreter._get_ops_details()].count("DELEGATE")


def test_equal_operators_are_counted_together() -> None:
    one, other = Operator(1, "ADD", "f -> f", "x"), Operator(2, "MUL", "f -> f", "x")
    assert count_operators([one, other, one, one]) == (Operator(3, "ADD", "f -> f", "x"), other)


def test_onnx_tells_every_node_of_its_optimized_graph(bundle_path: Path, artifact_files: Files, tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx", reason="the optimized graph is read with it")
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "optimized.onnx")
    options.log_severity_level = 4
    onnxruntime.InferenceSession(artifact_files["onnx-fp32"]["model.onnx"], options, providers=["CPUExecutionProvider"])
    nodes = onnx.load(tmp_path / "optimized.onnx").graph.node
    listed = operators(bundle_path, "onnx-fp32")
    assert types(listed) == Counter(node.op_type for node in nodes)
    assert {one.executed_by for one in listed} == {"CPUExecutionProvider"}
    assert all(one.precision.startswith("float") for one in listed if one.type == "MatMul")


def test_the_profile_of_onnx_leaves_nothing_behind(
    bundle_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    assert operators(bundle_path, "onnx-fp32")
    assert list(tmp_path.iterdir()) == []
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "absent"))
    with pytest.raises(OutputError, match=r"temporary folder: .*absent") as caught:
        operators(bundle_path, "onnx-fp32")
    assert "TMPDIR" in caught.value.hint


def test_openvino_names_the_kernels_of_the_products(bundle_path: Path) -> None:
    listed = operators(bundle_path, "openvino-fp32")
    assert not types(listed).keys() & {"Const", "Input", "Output"}
    products = [one for one in listed if one.type == "FullyConnected"]
    assert products
    for one in products:
        assert one.precision.endswith("-> f32")
        assert one.executed_by.endswith("_f32") and not one.executed_by.startswith(("undef", "unknown", "ref"))


@pytest.mark.parametrize("length", tiny.BUCKETS)
def test_tflite_tells_every_node_of_each_bucket(bundle_path: Path, length: int) -> None:
    listed = operators(bundle_path, "tflite-fp32", length)
    assert {one.executed_by for one in listed} == {XNNPACK, BUILTIN}
    [products] = [one for one in listed if one.type == "FULLY_CONNECTED"]
    assert products.executed_by == XNNPACK
    assert products.precision == "float32 x float32 -> float32"
    assert types(listed) == types(operators(bundle_path, "tflite-fp32", tiny.BUCKETS[0]))


def test_xnnpack_took_as_many_nodes_as_it_makes_partitions_of_one(artifact_files: Files) -> None:
    """Told not to join nodes, LiteRT shows a delegate for each node that XNNPACK takes."""
    model = artifact_files["tflite-fp32"]["model.tflite"]
    graph = graph_of(model)
    assert 0 < len(graph.taken) < len(graph.nodes)
    assert delegates(model) < delegates(model, experimental_disable_delegate_node_fusion=True) == len(graph.taken)
    assert graph.state() == "applied"
    assert graph.slowdown() == ""


def test_a_product_that_xnnpack_leaves_is_told(artifact_files: Files) -> None:
    model = artifact_files["tflite-fp32"]["model.tflite"]
    whole, graph = graph_of(model), graph_of(refuse_a_product(model))
    assert [node.name for node in graph.nodes] == [node.name for node in whole.nodes]
    [place] = whole.taken - graph.taken
    assert whole.nodes[place].name == "FULLY_CONNECTED"
    of = [node.name for node in whole.nodes].count("FULLY_CONNECTED")
    assert graph.state() == f"applied, but not to 1 of {of} FULLY_CONNECTED"
    assert f"leaves 1 of {of} FULLY_CONNECTED" in graph.slowdown()


def test_without_xnnpack_every_node_is_builtin(bundle_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = types(operators(bundle_path, "tflite-fp32"))
    switch_off(monkeypatch)
    for length in tiny.BUCKETS:
        listed = operators(bundle_path, "tflite-fp32", length)
        assert {one.executed_by for one in listed} == {BUILTIN}
        assert types(listed) == expected


@pytest.mark.parametrize("place", range(len(tiny.BUCKETS)))
def test_each_graph_can_be_put_first(artifact_files: Files, place: int) -> None:
    model = artifact_files["tflite-fp32"]["model.tflite"]
    copy = with_graph_first(model, place)
    assert with_graph_first(copy, place) == model
    lengths = {}
    for name, content in (("before", model), ("after", copy)):
        interpreter = litert().Interpreter(model_content=content)
        interpreter.allocate_tensors()
        lengths[name] = int(interpreter.get_input_details()[0]["shape"][1])
    index = [
        int(litert().Interpreter(model_content=model)._interpreter.GetSubgraphIndexFromSignature(f"length_{length}"))
        for length in tiny.BUCKETS
    ]
    assert index.index(place) == tiny.BUCKETS.index(lengths["after"])
    assert index.index(0) == tiny.BUCKETS.index(lengths["before"])


def test_a_runtime_that_does_not_tell_is_a_backend_error(bundle_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = tiny.open_engine(open_bundle(bundle_path), "tflite-fp32", threads=1)
    monkeypatch.delattr(litert().Interpreter, "get_tensor_details")
    with pytest.raises(BackendError, match=r"ai-edge-litert .* does not tell what it executes"):
        engine.execution(plain_inputs(TASK, tiny.BUCKETS[0]))
    engine.close()
