"""Writes one checkpoint as .tflite in the layouts of int8 that were tried for two runtimes at once.

    python benchmarks/tflite_layouts.py CHECKPOINT FOLDER

``tflite_runtimes.py`` measures them, and docs/explanation/tflite-runtimes.md tells what came of it:

- ``fp32``: float32.
- ``quantizer``: dynamic-range int8 as ``ai-edge-quantizer`` writes it.
- ``scales``: its scales in the graph, which is what EdgeBERT ships as ``tflite-int8``; ``scales-symmetric`` the same
  without ``asymmetric_quantize_inputs``.
- ``weights-only``: int8 weights that a DEQUANTIZE turns into float32 before they are used.
- ``int32-product``: the quantization of the rows in the graph, and products int8 x int8 -> int32 (BATCH_MATMUL).
- ``static-output``: the same rows, and products int8 x int8 -> int8 (CONV_2D) with a calibrated scale per channel.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import click
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from ai_edge_quantizer import quantizer, recipe
from numpy.typing import NDArray

from edgebert.assets import calibration_texts
from edgebert.convert.checkpoint import load_checkpoint
from edgebert.convert.exporters import ExportJob, exporter_for
from edgebert.convert.exporters.tflite_file import pack

# Private, since what is shipped needs only one of the layouts: they differ in how a product is written.
from edgebert.convert.exporters.tflite_scales import _Constants, _Rewriter, spell_out_scales
from edgebert.convert.graph import Graph
from edgebert.convert.probes import calibration_inputs
from edgebert.runtime.tokenization import TextTokenizer

BUCKETS = (16, 32, 64, 128)
CALIBRATED_AT = 64
STEPS = 127
HEADROOM = 1.05
"""How much further than in calibration an output may go in ``static-output``."""
OP, OPTIONS, TYPE = schema.BuiltinOperator, schema.BuiltinOptions, schema.TensorType


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("checkpoint", type=click.Path(exists=True, file_okay=False))
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
def main(checkpoint: str, folder: Path) -> None:
    """Write CHECKPOINT into FOLDER in every layout."""
    folder.mkdir(parents=True, exist_ok=True)
    loaded = load_checkpoint(checkpoint)
    tokenizer = TextTokenizer(loaded.tokenizer_json, max_length=CALIBRATED_AT)
    inputs = calibration_inputs(loaded.task, tokenizer, list(calibration_texts())[:64], loaded.pad_id)
    with tempfile.TemporaryDirectory() as scratch:
        job = ExportJob(Graph(loaded), loaded.max_length, BUCKETS, inputs, Path(scratch))
        exporter_for("tflite").export(job, "fp32", folder)
    fp32 = (folder / "model.tflite").rename(folder / "fp32.tflite")
    write = partial(_write, folder, list(job.graph.outputs))
    dynamic = _quantize(fp32, recipe.dynamic_wi8_afp32())
    write("quantizer", dynamic)
    write("scales", dynamic, spell_out_scales)
    write("scales-symmetric", dynamic, _spell_out_symmetric)
    write("weights-only", _quantize(fp32, recipe.weight_only_wi8_afp32()))
    write("int32-product", dynamic, partial(_rewrite, limits=[]))
    write("static-output", dynamic, partial(_rewrite, limits=find_limits(fp32, inputs)))


def _quantize(fp32: Path, settings: Any) -> bytes:  # noqa: ANN401 (the quantizer's own type)
    job = quantizer.Quantizer(str(fp32))
    job.load_quantization_recipe(settings)
    return bytes(job.quantize().quantized_model)


def _write(
    folder: Path,
    outputs: Sequence[str],
    name: str,
    model: bytes,
    edit: Callable[[schema.ModelT], None] | None = None,
) -> None:
    (folder / f"{name}.tflite").write_bytes(pack(model, output_names=outputs, edit=edit))


def _spell_out_symmetric(model: schema.ModelT) -> None:
    spell_out_scales(model)
    for operator in (one for graph in model.subgraphs for one in graph.operators):
        if isinstance(operator.builtinOptions, schema.FullyConnectedOptionsT):
            operator.builtinOptions.asymmetricQuantizeInputs = False


def find_limits(fp32: Path, inputs: Sequence[Any]) -> list[NDArray[np.float32] | None]:
    """Per FULLY_CONNECTED: the largest |output without bias / row's largest input| float32 ``[n]`` of each channel.

    ``None`` for those with a fused activation and those of fewer than 16 channels, which stay at int32.
    """
    model = schema.ModelT.InitFromPackedBuf(fp32.read_bytes(), 0)
    name = f"length_{CALIBRATED_AT}"
    index = next(one.subgraphIndex for one in model.signatureDefs if one.signatureKey.decode() == name)
    interpreter = Interpreter(
        str(fp32),
        experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
        experimental_preserve_all_tensors=True,
    )
    run = interpreter.get_signature_runner(name)
    products = [
        operator
        for operator in model.subgraphs[index].operators
        if model.operatorCodes[operator.opcodeIndex].builtinCode == OP.FULLY_CONNECTED
    ]
    limits: list[NDArray[np.float32] | None] = [None] * len(products)
    for one in inputs:
        tokens = one["input_ids"].shape[1]
        run(
            **{key: np.pad(value, ((0, 0), (0, CALIBRATED_AT - tokens))).astype(np.int32) for key, value in one.items()}
        )
        for place, operator in enumerate(products):
            x, weights, *bias = (interpreter.get_tensor(int(i), index) for i in operator.inputs if i >= 0)
            if len(weights) < 16 or operator.builtinOptions.fusedActivationFunction:
                continue
            y = interpreter.get_tensor(int(operator.outputs[0]), index) - (bias[0] if bias else 0)
            ratio = np.abs(y).reshape(-1, len(weights)) / np.abs(x).reshape(-1, x.shape[-1]).max(axis=1, keepdims=True)
            limit = ratio[:tokens].max(axis=0)
            known = limits[place]
            limits[place] = limit if known is None else np.maximum(known, limit)
    return limits


def _rewrite(model: schema.ModelT, limits: Sequence[NDArray[np.float32] | None]) -> None:
    constants = _Constants(model)
    for graph in model.subgraphs:
        _RowwiseRewriter(model, graph, constants, limits).rewrite()


class _RowwiseRewriter(_Rewriter):
    """Writes x W' as r s (q W'), where r is the largest |x| of the row, and q = round(127 x / r) is int8."""

    def __init__(self, model: Any, graph: Any, constants: _Constants, limits: Sequence[Any]) -> None:  # noqa: ANN401
        super().__init__(model, graph, constants)
        self._model = model
        self._limits = iter(limits)
        self._rows: dict[int, tuple[int, int]] = {}
        self._channels: dict[int, NDArray[np.float32]] = {}

    def rewrite(self) -> None:
        super().rewrite()
        for index, scales in self._channels.items():
            tensor = self._graph.tensors[index]
            rows, columns = tensor.shape
            tensor.shape, tensor.quantization = np.array([rows, 1, 1, columns], np.int32), _scales(scales)

    def _fully_connected(self, operator: schema.OperatorT, scales: NDArray[np.float32]) -> Iterator[schema.OperatorT]:
        x, weights, *rest = (int(index) for index in operator.inputs)
        out = int(operator.outputs[0])
        shape = [int(size) for size in self._graph.tensors[out].shape]
        flat = [*shape[:-1], int(self._graph.tensors[x].shape[-1])]
        if len(self._graph.tensors[x].shape) != len(shape):
            x = yield from self._reshape(x, flat)
        if x not in self._rows:
            self._rows[x] = yield from self._quantize_rows(x, flat)
        q, largest = self._rows[x]
        limit = next(self._limits, None)
        if limit is None:
            product = self._new(shape, TYPE.INT32, [1 / STEPS])
            multiply = schema.BatchMatMulOptionsT()
            multiply.adjY = True
            yield self._op(OP.BATCH_MATMUL, (q, weights), product, OPTIONS.BatchMatMulOptions, multiply, 4)
            cast = schema.CastOptionsT()
            cast.inDataType, cast.outDataType = TYPE.INT32, TYPE.FLOAT32
            number = self._new(shape)
            yield self._op(OP.CAST, (product,), number, OPTIONS.CastOptions, cast)
            factor = scales / STEPS
        else:
            factor = (limit * HEADROOM).astype(np.float32)
            number = yield from self._convolve(q, weights, scales / factor, shape, flat)
        scaled, product = self._new(shape), self._new(shape)
        yield self._multiply(number, self._tensor("factor", factor.shape, factor.astype(np.float32)), scaled, 0)
        bias = rest[0] if rest else -1
        activation = operator.builtinOptions.fusedActivationFunction
        if bias < 0:
            yield self._multiply(scaled, largest, out, activation)
            return
        yield self._multiply(scaled, largest, product, 0)
        add = schema.AddOptionsT()
        add.fusedActivationFunction = activation
        yield self._op(OP.ADD, (product, bias), out, OPTIONS.AddOptions, add)

    def _quantize_rows(self, x: int, shape: list[int]) -> Iterator[Any]:
        size, largest, share = self._new(shape), self._new([*shape[:-1], 1]), self._new(shape)
        yield self._op(OP.ABS, (x,), size, OPTIONS.AbsOptions, schema.AbsOptionsT())
        keep = schema.ReducerOptionsT()
        keep.keepDims = True
        yield self._op(OP.REDUCE_MAX, (size, self._integers([len(shape) - 1])), largest, OPTIONS.ReducerOptions, keep)
        yield self._op(OP.DIV, (x, largest), share, OPTIONS.DivOptions, schema.DivOptionsT())
        q = self._new(shape, TYPE.INT8, [1 / STEPS])
        yield self._op(OP.QUANTIZE, (share,), q, OPTIONS.QuantizeOptions, schema.QuantizeOptionsT())
        return q, largest

    def _convolve(self, q: int, weights: int, scales: Any, shape: list[int], flat: list[int]) -> Iterator[Any]:  # noqa: ANN401
        """CONV_2D of 1x1: unlike FULLY_CONNECTED, XNNPACK of 2.14 knows it with a scale per channel."""
        scales = scales.astype(np.float32)
        self._channels[weights] = scales
        rows = int(np.prod(flat[:-1]))
        pixels = yield from self._reshape(q, [1, rows, 1, flat[-1]], TYPE.INT8)
        zeros = self._new([len(scales)], TYPE.INT32, scales / STEPS, np.zeros(len(scales), np.int32))
        options = schema.Conv2DOptionsT()
        options.strideW = options.strideH = options.dilationWFactor = options.dilationHFactor = 1
        options.padding = schema.Padding.VALID
        product = self._new([1, rows, 1, shape[-1]], TYPE.INT8, [1 / STEPS])
        yield self._op(OP.CONV_2D, (pixels, weights, zeros), product, OPTIONS.Conv2DOptions, options, 3)
        product = yield from self._reshape(product, shape, TYPE.INT8)
        number = self._new(shape)
        options = schema.DequantizeOptionsT()
        yield self._op(OP.DEQUANTIZE, (product,), number, OPTIONS.DequantizeOptions, options, 2)
        return number

    def _reshape(self, x: int, shape: list[int], kind: int = TYPE.FLOAT32) -> Iterator[Any]:
        options = schema.ReshapeOptionsT()
        options.newShape = np.array(shape, np.int32)
        out = self._new(shape, kind, [1 / STEPS] if kind == TYPE.INT8 else None)
        yield self._op(OP.RESHAPE, (x, self._integers(shape)), out, OPTIONS.ReshapeOptions, options)
        return out

    def _integers(self, values: Sequence[int]) -> int:
        return self._new([len(values)], TYPE.INT32, None, np.array(values, np.int32))

    def _new(self, shape: Sequence[int], kind: int = TYPE.FLOAT32, scales: Any = None, values: Any = None) -> int:  # noqa: ANN401
        index = self._tensor("rowwise", shape, values)
        tensor = self._graph.tensors[index]
        tensor.type = kind
        if scales is not None:
            tensor.quantization = _scales(scales)
        return index

    def _op(self, kind: int, inputs: Sequence[int], out: int, options: int, value: Any, version: int = 1) -> Any:  # noqa: ANN401
        codes = self._model.operatorCodes
        known = (place for place, one in enumerate(codes) if one.builtinCode == kind and one.version >= version)
        operator = schema.OperatorT()
        operator.opcodeIndex = next(known, len(codes))
        if operator.opcodeIndex == len(codes):
            code = schema.OperatorCodeT()
            code.builtinCode, code.deprecatedBuiltinCode, code.version = kind, min(kind, 127), version
            codes.append(code)
        operator.inputs, operator.outputs = np.array(inputs, np.int32), np.array([out], np.int32)
        operator.builtinOptionsType, operator.builtinOptions = options, value
        return operator


def _scales(values: Any) -> schema.QuantizationParametersT:  # noqa: ANN401
    quantization = schema.QuantizationParametersT()
    quantization.scale = np.asarray(values, np.float32)
    quantization.zeroPoint = np.zeros(len(quantization.scale), np.int64)
    return quantization


if __name__ == "__main__":
    main()
