"""int8 for ONNX Runtime that gives a text the same answer whatever stands beside it.

ONNX Runtime's own dynamic quantization takes one activation scale per tensor: padding and neighbours move it, and with
it every answer of the batch. Here each **row** (token) has its own scale, found while running, as in LLM.int8()
(Dettmers et al. 2022, arXiv 2208.07339, "vector-wise quantization"); weights have one scale per output channel. For
``y = x W`` with ``x`` [rows, k]::

    s_x = max|x| / 127  (per row)      q_x = QuantizeLinear(x, s_x, zero point 128, axis 0)
    y   = MatMulIntegerToFloat(q_x, q_w, s_w) * s_x

Between a product and the next one, tensors stay ``[rows, k]`` as long as the operators there treat each row alike, and
get their shape back where one does not.

Weights use 7 of the 8 bits: x86 CPUs without VNNI multiply u8 x s8 pairs into a saturating int16 (onnxruntime#5849 is
this very model), and 255 * 64 * 2 still fits. So one file is right on every CPU.
The word embeddings are int8 with one scale per row; a lookup converts only the rows it reads. A vocabulary projection
that is tied to them (masked language models) multiplies with the same bytes, transposed: then they have 7 bits, too.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from edgebert.convert.exporters.onnx_fusion import DOMAIN, use_domain

QUANTIZATION = (
    "weights int8, 7 bits used, one scale per output channel; activations uint8, one scale per token found at run "
    "time; word embeddings int8, one scale per row; position table, attention, normalisation and products of "
    "fewer than 16 outputs float32"
)

_WEIGHT_MAX = 63
_TABLE_MAX = 127
_ACTIVATION_MAX = 127
_ZERO_POINT = 128
_SMALLEST_OUTPUT = 16
"""Products with fewer outputs (the classifier itself) stay float32: they cost nothing and decide the label."""

_ROW_WISE = ("BiasGelu", "Gelu", "LayerNormalization", "Relu")
"""Operators that treat each row alike, and take ``[rows, k]`` as well as ``[batch, length, k]``."""


def quantize(model: onnx.ModelProto) -> onnx.ModelProto:
    """An int8 version of a float32 model; ``model`` is used up."""
    rewriter = _Rewriter(model.graph)
    nodes = [new for node in model.graph.node for new in rewriter.rewrite(node)]
    nodes += [new for output in model.graph.output for new in rewriter.whole(output.name)]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    rewriter.store(model.graph)
    if any(node.domain == DOMAIN for node in nodes):
        use_domain(model)
    return model


def quantize_weight(weight: NDArray[np.float32]) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Quantize ``weight`` [k, n] to 7-bit int8 with one scale per column.

    The scale covers the largest weight: clipping a column to a range of smaller squared error measured twice the logit
    error, since the largest weights meet the largest activations.

    Returns:
        int8 [k, n] and float32 [n], so that their product is close to ``weight``.
    """
    scale = np.abs(weight).max(axis=0) / np.float32(_WEIGHT_MAX)
    scale[scale == 0] = 1.0
    return _round(weight, scale, _WEIGHT_MAX).astype(np.int8), scale


def quantize_table(table: NDArray[np.float32]) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Quantize an embedding table [rows, dim] to int8 [rows, dim] with scales float32 [rows, 1]."""
    scale = np.abs(table).max(axis=1, keepdims=True) / np.float32(_TABLE_MAX)
    scale[scale == 0] = 1.0
    return _round(table, scale, _TABLE_MAX).astype(np.int8), scale


def _round(values: NDArray[np.float32], scale: NDArray[np.float32], limit: int) -> NDArray[np.float32]:
    rounded: NDArray[np.float32] = np.clip(np.rint(values / scale), -limit, limit)
    return rounded


class _Rewriter:
    """Replaces products with constant weights and lookups in constant tables, one node at a time.

    A tensor may exist whole, ``[..., k]``, or as rows, ``[n, k]``, or both, as those need that read it. Tensors whose
    leading dimensions are known to be the same share what is computed of these; they are named after one of them.
    """

    def __init__(self, graph: onnx.GraphProto) -> None:
        self._constants = {tensor.name: tensor for tensor in graph.initializer}
        self._added: dict[str, NDArray[np.generic]] = {}
        self._rows: dict[str, str] = {}  # tensor -> its rows
        self._columns: dict[str, int] = {}  # tensor -> its last dimension
        self._leading: dict[str, str] = {}  # tensor -> the tensor after which its leading dimensions are named
        self._lacking: set[str] = set()  # tensors that do not exist whole
        self._made: set[str] = set()
        self._tied = {
            node.output[0]: node.input[0]
            for node in graph.node
            if node.op_type == "Transpose" and node.input[0] in self._constants
        }

    def rewrite(self, node: onnx.NodeProto) -> Iterator[onnx.NodeProto]:
        constant = next((i for i, name in enumerate(node.input) if name in self._constants), None)
        if node.op_type == "Gather" and constant == 0 and len(self._constants[node.input[0]].dims) == 2:
            yield from self._lookup(node)
        elif node.op_type == "MatMul" and constant == 1:
            yield from self._product(node, self._array(node.input[1]))
        elif node.op_type == "MatMul" and node.input[1] in self._tied:
            yield from self._tied_product(node, self._tied[node.input[1]])
        elif node.op_type == "Transpose" and node.output[0] in self._tied:
            return  # the product transposes the int8 table
        elif node.op_type == "Gemm" and constant == 1:
            yield from self._gemm(node)
        elif self._is_row_wise(node):
            yield from self._by_rows(node)
        else:
            yield from self._as_it_is(node)

    def whole(self, name: str) -> Iterator[onnx.NodeProto]:
        """What makes ``name`` exist whole, if it does not."""
        if name not in self._lacking:
            return
        self._lacking.remove(name)
        like, width = self._leading[name], self._columns[name]
        if self._first(f"{like}.leading"):
            begin, end = self._add("begin", np.array([0], np.int64)), self._add("end", np.array([-1], np.int64))
            yield helper.make_node("Shape", [like], [f"{like}.shape"])
            yield helper.make_node("Slice", [f"{like}.shape", begin, end], [f"{like}.leading"])
        shape = f"{like}.shape.{width}"
        if self._first(shape):
            last = self._add(f"width.{width}", np.array([width], np.int64))
            yield helper.make_node("Concat", [f"{like}.leading", last], [shape], axis=0)
        yield helper.make_node("Reshape", [self._rows[name], shape], [name])

    def store(self, graph: onnx.GraphProto) -> None:
        """Swap the float constants that nothing reads any more for the added ones."""
        used = {name for node in graph.node for name in node.input}
        kept = [tensor for tensor in graph.initializer if tensor.name in used]
        del graph.initializer[:]
        graph.initializer.extend(kept)
        graph.initializer.extend(
            numpy_helper.from_array(array, name) for name, array in self._added.items() if name in used
        )

    def _array(self, name: str) -> NDArray[np.float32]:
        return np.asarray(numpy_helper.to_array(self._constants[name]), dtype=np.float32)

    def _add(self, name: str, array: NDArray[np.generic]) -> str:
        self._added.setdefault(name, np.ascontiguousarray(array))
        return name

    def _first(self, name: str) -> bool:
        """Whether this is the first time that ``name`` is asked for: then it has to be made."""
        first = name not in self._made
        self._made.add(name)
        return first

    def _is_row_wise(self, node: onnx.NodeProto) -> bool:
        if not node.input or node.input[0] not in self._rows:
            return False
        if node.op_type != "Add":
            return node.op_type in _ROW_WISE
        bias = self._constants.get(node.input[1])
        return self._are_alike(*node.input) if bias is None else len(bias.dims) == 1

    def _are_alike(self, one: str, other: str) -> bool:
        """Whether both exist as rows, of the same shape."""
        return (
            other in self._rows
            and self._leading[one] == self._leading[other]
            and self._columns[one] == self._columns[other]
        )

    def _by_rows(self, node: onnx.NodeProto) -> Iterator[onnx.NodeProto]:
        x = node.input[0]
        for i, name in enumerate(node.input):
            node.input[i] = self._rows.get(name, name)
        node.output[0] = self._name_rows(node.output[0], x, self._columns[x])
        yield node

    def _as_it_is(self, node: onnx.NodeProto) -> Iterator[onnx.NodeProto]:
        for name in node.input:
            yield from self.whole(name)
        yield node
        x = node.input[0] if node.input else ""
        if x in self._leading and (node.op_type == "MultiHeadAttention" or _splits_columns(node)):
            self._leading.update(dict.fromkeys(node.output, self._leading[x]))

    def _make_rows(self, x: str, width: int) -> Iterator[onnx.NodeProto]:
        """What makes ``x`` exist as rows, if it does not."""
        if x in self._rows:
            return
        self._rows[x], self._columns[x] = f"{x}.rows", width
        self._leading.setdefault(x, x)
        as_rows = self._add(f"rows.{width}", np.array([-1, width], np.int64))
        yield helper.make_node("Reshape", [x, as_rows], [f"{x}.rows"])

    def _name_rows(self, out: str, like: str, width: int) -> str:
        """The name for the rows of ``out``, which is made as rows with the leading dimensions of ``like``."""
        flat = self._rows[like] == like
        self._rows[out], self._columns[out] = out if flat else f"{out}.rows", width
        self._leading[out] = self._leading[like]
        if not flat:
            self._lacking.add(out)
        return self._rows[out]

    def _lookup(self, node: onnx.NodeProto) -> Iterator[onnx.NodeProto]:
        name, ids, out = node.input[0], node.input[1], node.output[0]
        table, scale = self._table(name)
        yield helper.make_node("Gather", [self._add(f"{name}.int8", table), ids], [f"{out}.int8"])
        yield helper.make_node("Gather", [self._add(f"{name}.scale", scale), ids], [f"{out}.scale"])
        yield helper.make_node("Cast", [f"{out}.int8"], [f"{out}.float"], to=TensorProto.FLOAT)
        yield helper.make_node("Mul", [f"{out}.float", f"{out}.scale"], [out])

    def _table(self, name: str) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
        table = self._array(name)
        if name not in self._tied.values():
            return quantize_table(table)
        weight, scale = quantize_weight(table.T)
        return weight.T, scale[:, np.newaxis]

    def _gemm(self, node: onnx.NodeProto) -> Iterator[onnx.NodeProto]:
        attributes = {a.name: helper.get_attribute_value(a) for a in node.attribute}
        plain = attributes.get("alpha", 1.0) == attributes.get("beta", 1.0) == 1.0 and not attributes.get("transA", 0)
        weight = self._array(node.input[1])
        if attributes.get("transB", 0):
            weight = weight.T
        if not plain or weight.shape[1] < _SMALLEST_OUTPUT:
            yield from self._as_it_is(node)
            return
        x, out = node.input[0], node.output[0]
        if x not in self._rows:  # a Gemm's input is rows as it is
            self._rows[x], self._leading[x], self._columns[x] = x, x, weight.shape[0]
        if len(node.input) == 2:  # the exporter leaves out a bias of zeros
            yield from self._product(helper.make_node("MatMul", node.input, [out]), weight)
            return
        yield from self._product(helper.make_node("MatMul", node.input[:2], [f"{out}.product"]), weight)
        yield from self._by_rows(helper.make_node("Add", [f"{out}.product", node.input[2]], [out]))

    def _product(self, node: onnx.NodeProto, weight: NDArray[np.float32]) -> Iterator[onnx.NodeProto]:
        if weight.ndim != 2 or weight.shape[1] < _SMALLEST_OUTPUT:
            yield from self._as_it_is(node)
            return
        name = node.input[1]
        quantized, scale = quantize_weight(weight)
        weights, scales = self._add(f"{name}.int8", quantized), self._add(f"{name}.scale", scale)
        yield from self._integer_product(node, weights, scales, weight.shape)

    def _tied_product(self, node: onnx.NodeProto, name: str) -> Iterator[onnx.NodeProto]:
        table, scale = self._table(name)
        weights, scales = f"{name}.int8.transposed", f"{name}.scale.flat"
        flat = self._add("flat", np.array([-1], np.int64))
        yield helper.make_node("Transpose", [self._add(f"{name}.int8", table)], [weights], perm=[1, 0])
        yield helper.make_node("Reshape", [self._add(f"{name}.scale", scale), flat], [scales])
        yield from self._integer_product(node, weights, scales, table.shape[::-1])

    def _integer_product(
        self, node: onnx.NodeProto, weights: str, scales: str, shape: tuple[int, ...]
    ) -> Iterator[onnx.NodeProto]:
        x, out = node.input[0], node.output[0]
        yield from self._make_rows(x, shape[0])
        yield from self._quantize_rows(x)
        one = self._add("one", np.array(1, np.float32))
        zero = self._add("zero_point", np.array(_ZERO_POINT, np.uint8))
        yield helper.make_node(
            "MatMulIntegerToFloat", [f"{x}.uint8", weights, one, scales, zero], [f"{out}.by_column"], domain=DOMAIN
        )
        yield helper.make_node("Mul", [f"{out}.by_column", f"{x}.uint8.scale"], [self._name_rows(out, x, shape[1])])

    def _quantize_rows(self, x: str) -> Iterator[onnx.NodeProto]:
        if not self._first(f"{x}.uint8"):
            return
        rows, zeros = self._rows[x], f"{self._leading[x]}.zeros"
        axis = self._add("axis.1", np.array([1], np.int64))
        step = self._add("activation_step", np.array(1 / _ACTIVATION_MAX, np.float32))
        # A row of zeros must not divide by zero; any positive scale represents it exactly.
        smallest = self._add("smallest_scale", np.array(np.finfo(np.float32).tiny, np.float32))
        yield helper.make_node("Abs", [rows], [f"{x}.abs"])
        yield helper.make_node("ReduceMax", [f"{x}.abs", axis], [f"{x}.max"], keepdims=0)
        yield helper.make_node("Mul", [f"{x}.max", step], [f"{x}.step"])
        yield helper.make_node("Max", [f"{x}.step", smallest], [f"{x}.scale"])
        if self._first(zeros):
            one_zero = self._add("zero_point.1", np.array([_ZERO_POINT], np.uint8))
            yield helper.make_node("Shape", [f"{x}.scale"], [f"{zeros}.count"])
            yield helper.make_node("Expand", [one_zero, f"{zeros}.count"], [zeros])
        yield helper.make_node("QuantizeLinear", [rows, f"{x}.scale", zeros], [f"{x}.uint8"], axis=0)
        yield helper.make_node("Unsqueeze", [f"{x}.scale", axis], [f"{x}.uint8.scale"])


def _splits_columns(node: onnx.NodeProto) -> bool:
    """Whether a node cuts ``[batch, length, k]`` along ``k``."""
    return node.op_type == "Split" and any(a.name == "axis" and a.i in (2, -1) for a in node.attribute)
