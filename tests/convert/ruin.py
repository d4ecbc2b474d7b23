"""Ruined artifacts: files that every backend opens and runs, and whose answers are wrong."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np


def scale_weights(folder: Path) -> None:
    """Triple every float weight matrix, or the scales of every integer one."""
    _alter(folder, lambda array: array * 3)


def zero_scales(folder: Path) -> None:
    """Set the scales of integer weights to zero, and float weight matrices too."""
    _alter(folder, lambda array: array * 0)


def _alter(folder: Path, change: Callable[[Any], Any]) -> None:
    if (folder / "model.onnx").exists():
        _alter_onnx(folder / "model.onnx", change)
    elif (folder / "model.xml").exists():
        _alter_openvino(folder / "model.xml", change)
    else:
        _alter_tflite(folder / "model.tflite", change)


def _alter_onnx(path: Path, change: Callable[[Any], Any]) -> None:
    import onnx
    from onnx import numpy_helper

    model = onnx.load(path)
    altered = 0
    for tensor in model.graph.initializer:
        array = numpy_helper.to_array(tensor)
        if array.dtype == np.float32 and (array.ndim == 2 or tensor.name.endswith(".scale")):
            tensor.CopyFrom(numpy_helper.from_array(change(array).astype(np.float32), tensor.name))
            altered += 1
    assert altered
    for old in path.parent.iterdir():
        old.unlink()
    onnx.save_model(model, path)


def _alter_openvino(path: Path, change: Callable[[Any], Any]) -> None:
    from edgebert.runtime.engines.openvino import import_openvino

    openvino = import_openvino()
    core = openvino.Core()
    core.set_property({"ENABLE_MMAP": False})  # the file is replaced below
    model = core.read_model(path)
    altered = 0
    for node in model.get_ops():
        if node.get_type_name() == "Constant" and node.data.dtype in (np.float16, np.float32) and node.data.ndim == 2:
            replacement = openvino.opset13.constant(change(node.data))
            for target in node.output(0).get_target_inputs():
                target.replace_source_output(replacement.output(0))
            altered += 1
    assert altered
    for old in path.parent.iterdir():
        old.unlink()
    openvino.save_model(model, path, compress_to_fp16=False)


def _alter_tflite(path: Path, change: Callable[[Any], Any]) -> None:
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    content = schema.ModelT.InitFromPackedBuf(path.read_bytes(), 0)
    floats = {schema.TensorType.FLOAT32: np.float32, schema.TensorType.FLOAT16: np.float16}
    altered = set()
    for tensor in (tensor for graph in content.subgraphs for tensor in graph.tensors):
        buffer = content.buffers[tensor.buffer]
        if buffer.data is None or len(tensor.shape) != 2:
            continue
        if tensor.type == schema.TensorType.INT8:
            tensor.quantization.scale = change(tensor.quantization.scale).astype(np.float32)
        elif tensor.type in floats and tensor.buffer not in altered:
            data = np.frombuffer(bytes(buffer.data), floats[tensor.type])
            buffer.data = np.frombuffer(change(data).astype(data.dtype).tobytes(), np.uint8)
        altered.add(tensor.buffer)
    assert altered
    builder = flatbuffers.Builder(path.stat().st_size)
    builder.Finish(content.Pack(builder), b"TFL3")
    path.write_bytes(bytes(builder.Output()))
