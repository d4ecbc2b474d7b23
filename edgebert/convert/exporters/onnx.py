"""ONNX artifacts: float32, and int8 with per-row dynamic activations."""

from __future__ import annotations

import warnings
from pathlib import Path

import onnx
import torch
from onnx.external_data_helper import set_external_data

from edgebert.bundle.schema import Requires, Shapes
from edgebert.convert.exporters.base import Exported, ExportJob
from edgebert.convert.exporters.onnx_fusion import fuse
from edgebert.convert.exporters.onnx_int8 import QUANTIZATION, quantize
from edgebert.convert.graph import Graph

PRECISIONS = ("fp32", "int8")
TOOLS = ("torch", "onnx", "onnxscript", "onnxruntime")

OPSET = 18
IR_VERSION = 8
"""The oldest that holds opset 18, so that runtimes of older boards open the file too."""

MODEL_FILE = "model.onnx"
_EXTERNAL_BYTES = 1024
"""Smaller tensors stay in ``model.onnx``."""
REQUIRES = Requires(
    architectures=(),
    isa=(),
    runtimes=dict.fromkeys(("onnxruntime", "onnxruntime-gpu", "onnxruntime-openvino"), "1.17"),
)


def export(job: ExportJob, precision: str, directory: Path) -> Exported:
    """Write ``model.onnx`` and its weights ``model.onnx.data``, which a runtime can map instead of copying."""
    model = onnx.load(float32_model(job))
    if precision == "int8":
        model = quantize(fuse(model))
    save(model, directory)
    return Exported(
        shapes=Shapes("dynamic", job.max_length),
        requires=REQUIRES,
        quantization=QUANTIZATION if precision == "int8" else "none: float32 weights and arithmetic",
    )


def float32_model(job: ExportJob) -> Path:
    """The float32 ONNX file of the job's graph, made once per job; other exporters start from it too."""
    return job.intermediate("onnx", lambda folder: export_graph(job, job.graph, folder)) / MODEL_FILE


def export_graph(job: ExportJob, graph: Graph, folder: Path) -> None:
    """Write the ONNX file of ``graph``, the job's or another form of it."""
    example = job.example(batch=2, length=min(16, job.max_length), positions=3)
    batch, length = torch.export.Dim("batch"), torch.export.Dim("length", max=job.max_length)
    columns = {"positions": torch.export.Dim("positions", max=job.max_length)}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            graph.module,
            tuple(example.values()),
            dynamo=True,
            verbose=False,
            opset_version=OPSET,
            input_names=list(graph.inputs),
            output_names=list(graph.outputs),
            dynamic_shapes=tuple({0: batch, 1: columns.get(name, length)} for name in graph.inputs),
        )
    if program is None:
        raise RuntimeError("torch.onnx.export returned no program")
    save(_without_traces(program.model_proto), folder)


def _without_traces(model: onnx.ModelProto) -> onnx.ModelProto:
    """Drop what the exporter notes down of the build host (stack traces with paths) and the stale shape notes."""
    for entry in (
        model,
        model.graph,
        *model.graph.node,
        *model.graph.input,
        *model.graph.output,
        *model.graph.initializer,
    ):
        entry.doc_string = ""
        del entry.metadata_props[:]
    del model.graph.value_info[:]
    model.ir_version = IR_VERSION
    return model


def save(model: onnx.ModelProto, folder: Path) -> None:
    """Write ``model.onnx`` and ``model.onnx.data``."""
    for tensor in model.graph.initializer:
        if len(tensor.raw_data) >= _EXTERNAL_BYTES:
            # Not `save_model(save_as_external_data=True)`: it refuses when the *working directory* has such a file.
            set_external_data(tensor, f"{MODEL_FILE}.data")
    onnx.save_model(model, folder / MODEL_FILE)
