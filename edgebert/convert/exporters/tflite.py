"""TFLite (LiteRT) artifacts: one signature per bucket in one file, weights shared between them."""

from __future__ import annotations

from pathlib import Path

from edgebert.bundle.interrupt import hold_interrupt
from edgebert.bundle.schema import Requires, Shapes
from edgebert.convert.exporters.base import Exported, ExportJob
from edgebert.convert.exporters.tflite_file import pack
from edgebert.convert.exporters.tflite_fp16 import store_as_float16
from edgebert.convert.exporters.tflite_scales import spell_out_scales

PRECISIONS = ("fp32", "fp16", "int8")
TOOLS = ("torch", "litert-torch", "ai-edge-quantizer", "ai-edge-litert")

MODEL_FILE = "model.tflite"

_EITHER = Requires(architectures=(), isa=(), runtimes={"ai-edge-litert": "1.0", "tflite-runtime": "2.14"})
_REQUIRES = {
    "fp32": _EITHER,
    "fp16": _EITHER,
    # Not tflite-runtime 2.14: on ARM CPUs with dot products its kernel for these products crashes, elsewhere it rounds
    # otherwise, which turns a label in 200, and the evidence is measured in ai-edge-litert.
    "int8": Requires(architectures=(), isa=(), runtimes={"ai-edge-litert": "1.0"}),
}
_QUANTIZATION = {
    "fp32": "none: float32 weights and arithmetic",
    "fp16": "weights stored as float16; arithmetic float32",
    "int8": (
        "weights int8, one scale per output channel; activations int8, one scale per token found at run time; "
        "embedding table int8, one scale per row; position table, attention and normalisation float32"
    ),
}


def export(job: ExportJob, precision: str, directory: Path) -> Exported:
    """Write ``model.tflite`` with a signature ``length_<n>`` for each bucket of the job.

    Its inputs are int32 [1, n], and [1, 1] for ``positions``.
    """
    float32 = job.intermediate("tflite", lambda folder: _convert(job, folder)) / MODEL_FILE
    model = _quantize(float32) if precision == "int8" else float32.read_bytes()
    edit = {"fp16": store_as_float16, "int8": spell_out_scales}.get(precision)
    (directory / MODEL_FILE).write_bytes(pack(model, output_names=job.graph.outputs, edit=edit))
    return Exported(Shapes("buckets", job.buckets[-1], job.buckets), _REQUIRES[precision], _QUANTIZATION[precision])


def _convert(job: ExportJob, folder: Path) -> None:
    with hold_interrupt():
        import litert_torch

    converter = litert_torch
    for length in job.buckets:
        example = job.example(batch=1, length=length, positions=1)
        converter = converter.signature(f"length_{length}", job.graph.module, sample_kwargs=example)
    # Not `export(path)`: it writes in C++, which ends the process when the disk is full.
    (folder / MODEL_FILE).write_bytes(converter.convert().model_content())


def _quantize(float32: Path) -> bytes:
    with hold_interrupt():
        from ai_edge_quantizer import quantizer, recipe

    job = quantizer.Quantizer(str(float32))
    job.load_quantization_recipe(recipe.dynamic_wi8_afp32())
    return bytes(job.quantize().quantized_model)
