"""TensorRT artifacts: an ONNX file whose precision is explicit, and the recipe to build a plan of it on the device.

Precision stands in the file as casts and as Q/DQ pairs, since TensorRT 11 has no other way, and 10 offers it ("strong
typing"). The build host has no NVIDIA GPU: there ONNX Runtime measures the file, under its own name, and TensorRT-RTX,
where it is installed, builds it and throws the plan away. ONNX Runtime has no float16 products on x86-64: it casts to
float32 and back, and leaves out the pairs of casts that so arise, so that its differences are rather too small.
"""

from __future__ import annotations

from pathlib import Path

import onnx

from edgebert.bundle.recipe import RECIPE_NAME, Recipe, ShapeRange, dump_recipe
from edgebert.bundle.schema import Requires, Shapes
from edgebert.convert import tensorrt_rtx
from edgebert.convert.exporters.base import Exported, ExportJob, StandIn
from edgebert.convert.exporters.onnx import MODEL_FILE, REQUIRES, export_graph, float32_model, save
from edgebert.convert.exporters.tensorrt_int8 import quantize
from edgebert.convert.exporters.tensorrt_opset import to_opset_17

PRECISIONS = ("fp32", "fp16", "int8")
TOOLS = ("torch", "onnx", "onnxscript", "onnxruntime")

_OLDEST = {"fp32": "8.6", "fp16": "8.6", "int8": "10.0"}
"""8.6 reads no ``QuantizeLinear`` of float16."""

_QUANTIZATION = {
    "fp32": "none: float32 weights and arithmetic",
    "fp16": "weights and arithmetic float16; normalisation and head float32",
    "int8": (
        "weights int8, one scale per output channel; activations int8, one calibrated scale per tensor, after "
        "SmoothQuant; embedding tables and attention float16; normalisation and head float32"
    ),
}


def export(job: ExportJob, precision: str, directory: Path) -> Exported:
    """Write ``model.onnx``, its weights ``model.onnx.data``, and ``recipe.json``."""
    source = float32_model(job) if precision == "fp32" else _float16_model(job)
    model = onnx.load(source)
    model = quantize(model, job.calibration) if precision == "int8" else to_opset_17(model)
    save(model, directory)
    recipe = _recipe(job, precision)
    (directory / RECIPE_NAME).write_bytes(dump_recipe(recipe))
    said_by, said = tensorrt_rtx.check(directory / MODEL_FILE, recipe)
    remarks = {said_by: said}
    if precision != "fp32":
        remarks["float16"] = "products computed in float32, and not every result rounded"
    return Exported(
        shapes=Shapes("buckets", job.buckets[-1], job.buckets),
        requires=Requires((), (), {"tensorrt": _OLDEST[precision]}, accelerator="cuda"),
        quantization=_QUANTIZATION[precision],
        stand_in=StandIn("onnx", REQUIRES, remarks),
    )


def _float16_model(job: ExportJob) -> Path:
    """The ONNX file in float16, made once per job."""
    return job.intermediate("onnx-fp16", lambda folder: export_graph(job, job.graph.in_float16(), folder)) / MODEL_FILE


def _recipe(job: ExportJob, precision: str) -> Recipe:
    assert job.workspace_mb is not None  # a target that asks for TensorRT says how much
    profiles = tuple(
        {name: _exactly(tensor.shape) for name, tensor in job.example(batch=1, length=length, positions=1).items()}
        for length in job.buckets
    )
    return Recipe(precision, job.workspace_mb, profiles)


def _exactly(shape: tuple[int, ...]) -> ShapeRange:
    """One shape alone: TensorRT chooses the kernels for it, and a text is padded to the next."""
    return ShapeRange(tuple(shape), tuple(shape), tuple(shape))
