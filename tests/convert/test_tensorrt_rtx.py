"""The question to TensorRT-RTX: what it refuses is named, and its end is not ours."""

from __future__ import annotations

from pathlib import Path

import pytest

onnx = pytest.importorskip("onnx")

from onnx import TensorProto, helper  # noqa: E402

from edgebert.bundle.recipe import Recipe, ShapeRange  # noqa: E402
from edgebert.convert import tensorrt_rtx  # noqa: E402
from edgebert.errors import BackendError  # noqa: E402

RECIPE = Recipe("fp32", 64, ({"x": ShapeRange((1, 4), (1, 4), (1, 4))},))


@pytest.fixture
def installed() -> None:
    pytest.importorskip("tensorrt_rtx", reason="TensorRT-RTX is not installed (the extra tensorrt-check)")


def write(path: Path, operator: str, **attributes: object) -> Path:
    node = helper.make_node(operator, ["x"], ["y"], name="the_node", **attributes)
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 4]) for name in "xy")
    onnx.save(helper.make_model(helper.make_graph([node], "g", [x], [y]), ir_version=8), path)
    return path


@pytest.mark.usefixtures("installed")
def test_a_file_that_it_knows_is_built(tmp_path: Path) -> None:
    said_by, said = tensorrt_rtx.check(write(tmp_path / "m.onnx", "Relu"), RECIPE)
    assert said_by.startswith("TensorRT-RTX 1.")
    assert said.startswith("builds it for SM86 (")


@pytest.mark.usefixtures("installed")
def test_a_node_that_it_does_not_know_is_named(tmp_path: Path) -> None:
    path = write(tmp_path / "m.onnx", "NoSuchOperator", domain="nowhere")
    with pytest.raises(BackendError, match=r"TensorRT-RTX 1\.[^ ]* refuses the file: NoSuchOperator the_node"):
        tensorrt_rtx.check(path, RECIPE)


@pytest.mark.usefixtures("installed")
def test_shapes_that_no_plan_can_have_are_refused(tmp_path: Path) -> None:
    recipe = Recipe("fp32", 64, ({"x": ShapeRange((1, 8), (1, 8), (1, 8))},))
    with pytest.raises(BackendError, match="refuses the file"):
        tensorrt_rtx.check(write(tmp_path / "m.onnx", "Relu"), recipe)


@pytest.mark.usefixtures("installed")
def test_what_is_no_onnx_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "m.onnx").write_bytes(b"\xff" * 100)
    with pytest.raises(BackendError, match="refuses the file"):
        tensorrt_rtx.check(tmp_path / "m.onnx", RECIPE)


def test_without_it_the_evidence_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tensorrt_rtx, "_MODULE", "no_such_module")
    said_by, said = tensorrt_rtx.check(tmp_path / "m.onnx", RECIPE)
    assert said_by == "TensorRT-RTX"
    assert said.startswith("not asked: not installed")
