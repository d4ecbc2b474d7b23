"""Stores the large weights of a TFLite model as float16; the arithmetic stays float32.

::

    FULLY_CONNECTED(x, float32[n, k], bias)  ->  FULLY_CONNECTED(x, DEQUANTIZE(float16[n, k]), bias)
    EMBEDDING_LOOKUP(ids, float32[v, d])  ->  DEQUANTIZE(BITCAST(GATHER(int16[v, d], ids)))

XNNPACK unpacks constants while it packs the weights of a product, so that DEQUANTIZE costs nothing there at run time.
No runtime looks rows up in a float16 table: its bits are looked up as int16, and are float16 again behind it. Of a
table that is also a product's weights, as in fill-mask, both operators read one buffer.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

_FULLY_CONNECTED = schema.BuiltinOperator.FULLY_CONNECTED
_EMBEDDING_LOOKUP = schema.BuiltinOperator.EMBEDDING_LOOKUP
_WEIGHTS = 1
"""The place of the weights among the inputs of both operators."""
_PLACEHOLDER_CODE = 127
"""What old readers find in place of a code that one byte cannot hold."""

_VERSIONS = {
    schema.BuiltinOperator.DEQUANTIZE: 3,
    schema.BuiltinOperator.BITCAST: 1,
    schema.BuiltinOperator.GATHER: 4,
}
"""The first version of each operator that takes these types."""


def store_as_float16(model: schema.ModelT) -> None:
    """Rewrite every FULLY_CONNECTED and EMBEDDING_LOOKUP with float32 weights; ``model`` is changed in place.

    Weights that leave the range of float16 stay float32.
    """
    codes = _Codes(model)
    halved = _halve(model, codes)
    for graph in model.subgraphs:
        _Rewriter(graph, codes, halved).rewrite()


class _Codes:
    """The operators that the model names, by the index that its nodes use."""

    def __init__(self, model: schema.ModelT) -> None:
        self._model = model

    def kind(self, operator: schema.OperatorT) -> int:
        return int(self._model.operatorCodes[operator.opcodeIndex].builtinCode)

    def index(self, kind: int) -> int:
        kinds = [code.builtinCode for code in self._model.operatorCodes]
        if kind not in kinds:
            code = schema.OperatorCodeT()
            code.builtinCode, code.deprecatedBuiltinCode = kind, min(kind, _PLACEHOLDER_CODE)
            code.version = _VERSIONS[kind]
            self._model.operatorCodes.append(code)
            return len(kinds)
        return kinds.index(kind)


def _halve(model: schema.ModelT, codes: _Codes) -> frozenset[int]:
    """Convert the buffers of weights to float16, each once for all signatures; which ones."""
    halved: set[int] = set()
    for graph in model.subgraphs:
        for operator in graph.operators:
            if codes.kind(operator) not in (_FULLY_CONNECTED, _EMBEDDING_LOOKUP):
                continue
            tensor = graph.tensors[operator.inputs[_WEIGHTS]]
            data = model.buffers[tensor.buffer].data
            if tensor.type != schema.TensorType.FLOAT32 or data is None or tensor.buffer in halved:
                continue
            with np.errstate(over="ignore"):
                half = np.asarray(data, np.uint8).view(np.float32).astype(np.float16)
            if np.isfinite(half).all():
                model.buffers[tensor.buffer].data = half.view(np.uint8)
                halved.add(tensor.buffer)
    return frozenset(halved)


class _Rewriter:
    """Rewrites one signature's graph."""

    def __init__(self, graph: schema.SubGraphT, codes: _Codes, halved: frozenset[int]) -> None:
        self._graph = graph
        self._codes = codes
        self._halves = {index: tensor for index, tensor in enumerate(graph.tensors) if tensor.buffer in halved}
        self._floats: dict[int, int] = {}

    def rewrite(self) -> None:
        self._graph.operators = [new for operator in self._graph.operators for new in self._replace(operator)]
        for tensor in self._halves.values():
            if tensor.type == schema.TensorType.FLOAT32:
                tensor.type = schema.TensorType.FLOAT16

    def _replace(self, operator: schema.OperatorT) -> Iterator[schema.OperatorT]:
        if self._codes.kind(operator) == _EMBEDDING_LOOKUP and int(operator.inputs[_WEIGHTS]) in self._halves:
            yield from self._look_up(operator)
            return
        for index in {int(index) for index in operator.inputs} & self._halves.keys() - self._floats.keys():
            self._floats[index] = self._tensor("float32", self._halves[index].shape, schema.TensorType.FLOAT32)
            yield self._dequantize(index, self._floats[index])
        operator.inputs = np.array([self._floats.get(int(index), index) for index in operator.inputs], np.int32)
        yield operator

    def _look_up(self, operator: schema.OperatorT) -> Iterator[schema.OperatorT]:
        ids, table = (int(index) for index in operator.inputs)
        out = int(operator.outputs[0])
        shape = self._graph.tensors[out].shape
        bits = self._tensor("bits", self._halves[table].shape, schema.TensorType.INT16, self._halves[table].buffer)
        rows = self._tensor("row_bits", shape, schema.TensorType.INT16)
        halves = self._tensor("rows", shape, schema.TensorType.FLOAT16)
        gather = schema.GatherOptionsT()
        gather.axis, gather.batchDims = 0, 0
        options = schema.BuiltinOptions.GatherOptions
        yield self._operator(schema.BuiltinOperator.GATHER, (bits, ids), rows, options, gather)
        yield self._operator(
            schema.BuiltinOperator.BITCAST,
            (rows,),
            halves,
            schema.BuiltinOptions.BitcastOptions,
            schema.BitcastOptionsT(),
        )
        yield self._dequantize(halves, out)

    def _dequantize(self, half: int, out: int) -> schema.OperatorT:
        options = schema.DequantizeOptionsT()
        return self._operator(
            schema.BuiltinOperator.DEQUANTIZE, (half,), out, schema.BuiltinOptions.DequantizeOptions, options
        )

    def _operator(
        self,
        kind: int,
        inputs: tuple[int, ...],
        out: int,
        options_type: int,
        options: object,
    ) -> schema.OperatorT:
        operator = schema.OperatorT()
        operator.opcodeIndex = self._codes.index(kind)
        operator.inputs, operator.outputs = np.array(inputs, np.int32), np.array([out], np.int32)
        operator.builtinOptionsType, operator.builtinOptions = options_type, options
        return operator

    def _tensor(self, name: str, shape: Sequence[int] | NDArray[np.int32], dtype: int, buffer: int = 0) -> int:
        tensor = schema.TensorT()
        tensor.name = f"edgebert/{name}_{len(self._graph.tensors)}"
        tensor.shape = np.asarray(shape, np.int32)
        tensor.type, tensor.buffer = dtype, buffer
        self._graph.tensors.append(tensor)
        return len(self._graph.tensors) - 1
