"""int8 for TensorRT: explicit ``QuantizeLinear``/``DequantizeLinear`` pairs with scales from the user's texts.

TensorRT runs a product in int8 when both of its inputs come from a ``DequantizeLinear``; scales are constants, zero
points are 0, activations have one scale per tensor and weights one per output channel (its "explicit quantization").
So for ``y = x W`` with ``x`` [..., k] and ``W`` [k, n]::

    y = DQ(Q(x * (1/s), s_x), s_x) DQ(Q(s * W), s_w)

- ``s`` [k] moves the spread of the channels of ``x`` into the weights, where each output has a scale of its own
  (SmoothQuant, Xiao et al. 2022, arXiv 2211.10438): one scale for a whole tensor is otherwise spent on a few channels.
- ``s_x`` clips ``x`` at a share of max|x|.

How strongly ``s`` smooths, and that share, are those of all tried with the smallest squared error of the product.

Embeddings, attention and normalisation stay as they are.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from edgebert.convert.graph import Inputs

OPSET = 19
"""The oldest whose ``QuantizeLinear`` takes float16."""

_MAX = 127
_SMALLEST_OUTPUT = 16
"""Products with fewer outputs (the classifier itself) are left alone: they cost nothing and decide the label."""

_SMOOTHINGS = (0.5, 0.7, 0.85, 1.0)
_CLIPS = (1.0, 0.85, 0.7, 0.5)
_ROWS = 512
"""Rows, of all calibration inputs together, that each choice is tried on."""

_SMALLEST_SCALE = 1e-4
"""float16 holds it with three digits."""


@dataclass(frozen=True)
class _Product:
    """A product with a constant: the tensor it reads, and the float32 weights [k, n]."""

    node: onnx.NodeProto
    reads: str
    weight: NDArray[np.float32]


def quantize(model: onnx.ModelProto, calibration: Sequence[Inputs]) -> onnx.ModelProto:
    """A version of a float16 model with int8 products; ``model`` is used up.

    Args:
        model: the model, with its weights.
        calibration: inputs of batch 1.
    """
    graph = model.graph
    constants = {tensor.name: tensor for tensor in graph.initializer}
    products = {product.node.name: product for product in _products(graph, constants)}
    observed = _observe(model, calibration, {product.reads for product in products.values()})
    added: dict[str, onnx.TensorProto] = {}
    nodes: list[onnx.NodeProto] = []
    for node in graph.node:
        product = products.get(node.name)
        if product is None:
            nodes.append(node)
        else:
            nodes += _quantized(product, _best_scales(observed[product.reads], product.weight), added)
    del graph.node[:]
    graph.node.extend(nodes)
    used = {name for node in nodes for name in node.input}
    kept = [tensor for tensor in graph.initializer if tensor.name in used]
    del graph.initializer[:]
    graph.initializer.extend([*kept, *added.values()])
    model.opset_import[0].version = OPSET
    return model


def _products(graph: onnx.GraphProto, constants: Mapping[str, onnx.TensorProto]) -> Iterator[_Product]:
    for node in graph.node:
        if node.op_type != "MatMul" or node.input[1] not in constants:
            continue
        weight = constants[node.input[1]]
        if weight.data_type == TensorProto.FLOAT16 and len(weight.dims) == 2 and weight.dims[1] >= _SMALLEST_OUTPUT:
            yield _Product(node, node.input[0], numpy_helper.to_array(weight).astype(np.float32))


def _observe(model: onnx.ModelProto, calibration: Sequence[Inputs], names: set[str]) -> dict[str, NDArray[np.float32]]:
    """Rows [n, k] of each named tensor while the model runs over the calibration inputs, padding left out.

    Of each input only a few are kept, by chance: all of them would take gigabytes.
    """
    import onnxruntime

    watched = onnx.ModelProto()
    watched.CopyFrom(model)
    watched.graph.output.extend(helper.make_tensor_value_info(name, TensorProto.FLOAT16, None) for name in names)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(watched.SerializeToString(), options, providers=["CPUExecutionProvider"])
    rows: dict[str, list[NDArray[np.float32]]] = {name: [] for name in names}
    ordered = sorted(names)
    chance = np.random.default_rng(0)
    share = -(-_ROWS // len(calibration))
    for inputs in calibration:
        real = inputs["attention_mask"][0] == 1
        for name, value in zip(ordered, session.run(ordered, dict(inputs)), strict=True):
            flat = value[0].reshape(-1, value.shape[-1])
            flat = flat[real] if len(flat) == len(real) else flat
            rows[name].append(chance.permutation(flat)[:share].astype(np.float32))
    return {name: np.concatenate(parts) for name, parts in rows.items()}


@dataclass(frozen=True)
class _Scales:
    """How a product is quantized: factors [k] that divide ``x``, its step, int8 weights and their steps [n]."""

    smoothing: NDArray[np.float32]
    x_step: float
    weight: NDArray[np.int8]
    w_step: NDArray[np.float16]


def _best_scales(rows: NDArray[np.float32], weight: NDArray[np.float32]) -> _Scales:
    """Those of all that are tried with the smallest squared error of the product over ``rows`` [m, k]."""
    right = rows @ weight
    best, smallest = None, np.inf
    for strength in _SMOOTHINGS:
        smoothing = _smoothing(rows, weight, strength)
        smoothed, scaled = rows / smoothing, weight * smoothing[:, None]
        w_step = np.maximum(np.abs(scaled).max(axis=0) / _MAX, _SMALLEST_SCALE).astype(np.float16)
        stored = np.clip(np.rint(scaled / w_step.astype(np.float32)), -_MAX, _MAX)
        product = stored * w_step.astype(np.float32)
        for clip in _CLIPS:
            step = float(np.float16(max(np.abs(smoothed).max(initial=0.0) * clip / _MAX, _SMALLEST_SCALE)))
            quantized = np.clip(np.rint(smoothed / step), -_MAX, _MAX) * step
            error = float(np.square(quantized @ product - right).sum())
            if best is None or error < smallest:
                best, smallest = _Scales(smoothing, step, stored.astype(np.int8), w_step), error
    assert best is not None
    return best


def _smoothing(rows: NDArray[np.float32], weight: NDArray[np.float32], strength: float) -> NDArray[np.float32]:
    """The factor [k] of each channel: a power of two, which float16 divides by without an error."""
    x, w = np.sqrt(np.square(rows).mean(axis=0)), np.abs(weight).max(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        factor = np.log2(x**strength / w ** (1 - strength))
    powers: NDArray[np.float32] = np.exp2(np.clip(np.rint(np.where(np.isfinite(factor), factor, 0.0)), -10, 10))
    return powers.astype(np.float32)


def _quantized(product: _Product, scales: _Scales, added: dict[str, onnx.TensorProto]) -> Iterator[onnx.NodeProto]:
    out = product.node.output[0]

    def constant(name: str, array: NDArray[np.generic]) -> str:
        added[name] = numpy_helper.from_array(np.asarray(array, order="C"), name)
        return name

    factor = constant(f"{out}.smoothing", (1.0 / scales.smoothing).astype(np.float16))
    yield helper.make_node("Mul", [product.reads, factor], [f"{out}.smoothed"])
    zero = constant("zero_point", np.array(0, np.int8))
    x_step = constant(f"{out}.x_scale", np.array(scales.x_step, np.float16))
    yield helper.make_node("QuantizeLinear", [f"{out}.smoothed", x_step, zero], [f"{out}.x_int8"])
    yield helper.make_node("DequantizeLinear", [f"{out}.x_int8", x_step, zero], [f"{out}.x"])
    zeros = constant(f"zero_point.{len(scales.w_step)}", np.zeros(len(scales.w_step), np.int8))
    weight, w_step = constant(f"{out}.w_int8", scales.weight), constant(f"{out}.w_scale", scales.w_step)
    yield helper.make_node("DequantizeLinear", [weight, w_step, zeros], [f"{out}.w"], axis=1)
    yield helper.make_node("MatMul", [f"{out}.x", f"{out}.w"], [out], name=product.node.name)
