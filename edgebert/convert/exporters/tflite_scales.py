"""Moves the per-channel scales of int8 weights out of the tensors and into the graph, where every runtime reads them.

``tflite-runtime`` 2.14 opens a file whose int8 weights carry one scale per channel and computes with the one scale that
older files had, which is then 0: FULLY_CONNECTED and EMBEDDING_LOOKUP give zeros, without an error. So the weights get
the scale 1, and the scales become a float32 constant that the product is multiplied with::

    FULLY_CONNECTED(x, int8[n, k] * s[n], bias)  ->  ADD(MUL(FULLY_CONNECTED(x, int8[n, k] * 1), s), bias)
    EMBEDDING_LOOKUP(ids, int8[v, d] * s[v])  ->  MUL(EMBEDDING_LOOKUP(ids, int8[v, d] * 1), EMBEDDING_LOOKUP(ids, s))

The arithmetic is the same, so that one file is right in old and new runtimes. XNNPACK, in the new ones, quantizes the
rows of ``x`` with a zero point; old kernels do so when ``asymmetric_quantize_inputs`` asks for it, and are then closer
to it and to float32.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

_NO_TENSOR = -1


def spell_out_scales(model: schema.ModelT) -> None:
    """Rewrite every FULLY_CONNECTED and EMBEDDING_LOOKUP with per-channel int8 weights; ``model`` is changed in place.

    Raises:
        ValueError: another operator reads such weights, or an operator that is needed has no code in the model.
    """
    constants = _Constants(model)
    for graph in model.subgraphs:
        _Rewriter(model, graph, constants).rewrite()


class _Constants:
    """Buffers of float32 constants, each distinct one once for all signatures."""

    def __init__(self, model: schema.ModelT) -> None:
        self._model = model
        self._index: dict[bytes, int] = {}

    def buffer(self, values: NDArray[np.float32]) -> int:
        data = values.tobytes()
        if data not in self._index:
            buffer = schema.BufferT()
            buffer.data = np.frombuffer(data, np.uint8)
            self._model.buffers.append(buffer)
            self._index[data] = len(self._model.buffers) - 1
        return self._index[data]


class _Rewriter:
    """Rewrites one signature's graph."""

    def __init__(self, model: schema.ModelT, graph: schema.SubGraphT, constants: _Constants) -> None:
        self._graph = graph
        self._constants = constants
        self._kind = [code.builtinCode for code in model.operatorCodes]
        self._scales = {
            index: np.asarray(tensor.quantization.scale, np.float32)
            for index, tensor in enumerate(graph.tensors)
            if tensor.type == schema.TensorType.INT8 and _channels(tensor) > 1
        }

    def rewrite(self) -> None:
        self._graph.operators = [new for operator in self._graph.operators for new in self._replace(operator)]
        for index in self._scales:
            one = schema.QuantizationParametersT()
            one.scale, one.zeroPoint = np.ones(1, np.float32), np.zeros(1, np.int64)
            self._graph.tensors[index].quantization = one

    def _replace(self, operator: schema.OperatorT) -> Iterator[schema.OperatorT]:
        weights = next((int(index) for index in operator.inputs if index in self._scales), None)
        if weights is None:
            yield operator
            return
        kind = self._kind[operator.opcodeIndex]
        if kind == schema.BuiltinOperator.FULLY_CONNECTED:
            yield from self._fully_connected(operator, self._scales[weights])
        elif kind == schema.BuiltinOperator.EMBEDDING_LOOKUP:
            yield from self._embedding_lookup(operator, self._scales[weights])
        else:
            raise ValueError(f"operator {kind} reads int8 weights with one scale per channel, and cannot be rewritten")

    def _fully_connected(self, operator: schema.OperatorT, scales: NDArray[np.float32]) -> Iterator[schema.OperatorT]:
        x, weights, *rest = (int(index) for index in operator.inputs)
        bias = rest[0] if rest else _NO_TENSOR
        out = int(operator.outputs[0])
        shape = self._graph.tensors[out].shape
        activation = operator.builtinOptions.fusedActivationFunction
        operator.builtinOptions.fusedActivationFunction = schema.ActivationFunctionType.NONE
        operator.builtinOptions.asymmetricQuantizeInputs = True
        product = self._tensor("product", shape)
        operator.inputs, operator.outputs = _indices(x, weights, _NO_TENSOR), _indices(product)
        yield operator
        factor = self._tensor("scales", scales.shape, scales)
        if bias == _NO_TENSOR:
            yield self._multiply(product, factor, out, activation)
            return
        scaled = self._tensor("scaled", shape)
        yield self._multiply(product, factor, scaled, schema.ActivationFunctionType.NONE)
        options = schema.AddOptionsT()
        options.fusedActivationFunction = activation
        yield self._operator(schema.BuiltinOperator.ADD, (scaled, bias), out, schema.BuiltinOptions.AddOptions, options)

    def _embedding_lookup(self, operator: schema.OperatorT, scales: NDArray[np.float32]) -> Iterator[schema.OperatorT]:
        ids, out = int(operator.inputs[0]), int(operator.outputs[0])
        shape = self._graph.tensors[out].shape
        rows = self._tensor("rows", shape)
        operator.outputs = _indices(rows)
        yield operator
        table = self._tensor("scales", (len(scales), 1), scales)
        factor = self._tensor("row_scales", (int(shape[0]), 1))
        yield self._operator(
            schema.BuiltinOperator.EMBEDDING_LOOKUP, (ids, table), factor, schema.BuiltinOptions.NONE, None
        )
        yield self._multiply(rows, factor, out, schema.ActivationFunctionType.NONE)

    def _multiply(self, left: int, right: int, out: int, activation: int) -> schema.OperatorT:
        options = schema.MulOptionsT()
        options.fusedActivationFunction = activation
        return self._operator(schema.BuiltinOperator.MUL, (left, right), out, schema.BuiltinOptions.MulOptions, options)

    def _operator(
        self, kind: int, inputs: tuple[int, int], out: int, options_type: int, options: object
    ) -> schema.OperatorT:
        operator = schema.OperatorT()
        operator.opcodeIndex = self._kind.index(kind)
        operator.inputs, operator.outputs = _indices(*inputs), _indices(out)
        operator.builtinOptionsType, operator.builtinOptions = options_type, options
        return operator

    def _tensor(
        self, name: str, shape: Sequence[int] | NDArray[np.int32], values: NDArray[np.float32] | None = None
    ) -> int:
        tensor = schema.TensorT()
        tensor.name = f"edgebert/{name}_{len(self._graph.tensors)}"
        tensor.shape = np.asarray(shape, np.int32)
        tensor.type = schema.TensorType.FLOAT32
        tensor.buffer = 0 if values is None else self._constants.buffer(values)
        self._graph.tensors.append(tensor)
        return len(self._graph.tensors) - 1


def _channels(tensor: schema.TensorT) -> int:
    quantization = tensor.quantization
    return 0 if quantization is None or quantization.scale is None else len(quantization.scale)


def _indices(*values: int) -> NDArray[np.int32]:
    return np.array(values, np.int32)
