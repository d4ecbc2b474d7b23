"""What TensorRT refuses at conversion reaches the user as one error that names the nodes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

onnx = pytest.importorskip("onnx")
pytest.importorskip("tensorrt_rtx", reason="TensorRT-RTX is not installed (the extra tensorrt-check)")
pytest.importorskip("onnxscript")
pytest.importorskip("torch")

from edgebert.convert.exporters import tensorrt  # noqa: E402
from tests.cli.command import Result  # noqa: E402


@pytest.fixture
def planted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two nodes behind the logits that no TensorRT knows."""
    real = tensorrt.to_opset_17

    def with_strange_nodes(model: Any) -> Any:
        model = real(model)
        (output,) = model.graph.output
        for name in ("strange_one", "strange_two"):
            model.graph.node.append(
                onnx.helper.make_node("Unheard", [output.name], [name], name=name, domain="nowhere")
            )
            model.graph.output.append(onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None))
        model.opset_import.append(onnx.helper.make_opsetid("nowhere", 1))
        return model

    monkeypatch.setattr(tensorrt, "to_opset_17", with_strange_nodes)


@pytest.fixture
def jetson(tmp_path: Path) -> Path:
    """A target of the user's with one TensorRT artifact."""
    path = tmp_path / "jetson" / "target.toml"
    path.parent.mkdir()
    path.write_text(
        """
        name = "my-jetson"
        title = "For tests"
        device = {architectures = ["aarch64"], memory_mb = 1, accelerator = "cuda"}
        artifact = [{backend = "tensorrt", precision = "fp16"}]
        shapes = {buckets = [16]}
        tensorrt = {workspace_mb = 64}
        runtime = {install = "pip install edgebert"}
        gate = {fp16 = {min_label_agreement = 0.9, max_metric_drop = 0.1}}
        """
    )
    return path


@pytest.mark.usefixtures("planted")
def test_every_node_that_is_not_supported_is_named(
    edgebert: Callable[..., Result], checkpoint: Path, jetson: Path, tmp_path: Path
) -> None:
    result = edgebert("convert", checkpoint, "-o", tmp_path / "out.edgebert", "--target", jetson, "--quiet")
    assert result.code == 1
    assert result.out == ""
    assert result.err.count("Error: ") == 1
    assert "tensorrt-fp16" in result.err
    assert "refuses the file: Unheard (strange_one, strange_two): " in result.err
    assert "Traceback" not in result.err
    assert not (tmp_path / "out.edgebert").exists()
