"""Opset 17 for TensorRT 8.6: NVIDIA documents its parser up to there, and torch exports opset 18.

Of the operators that the graphs have, ``Split`` and ``ReduceL2`` alone are other ones in opset 18 than in 17, and both
can be said in the older words. ``Shape`` of a part of the dimensions is opset 15's; an importer that knows only older
ones takes all dimensions, without a word, and NVIDIA's list does not tell what 8.6 does. So a ``Slice`` cuts the part.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import onnx
from onnx import defs, helper, numpy_helper

from edgebert.errors import BackendError

OPSET = 17


def to_opset_17(model: onnx.ModelProto) -> onnx.ModelProto:
    """The same function in opset 17; ``model``, of opset 18, is used up.

    Raises:
        BackendError: an operator has changed since, and nothing here knows how to say it.
    """
    graph = model.graph
    constants = {tensor.name: tensor for tensor in graph.initializer}
    opset = model.opset_import[0].version
    nodes = [older for node in graph.node for older in _older(node, constants, opset)]
    used = {name for node in nodes for name in node.input}
    kept = [tensor for name, tensor in constants.items() if name in used]
    for field, values in ((graph.node, nodes), (graph.initializer, kept)):
        del field[:]
        field.extend(values)
    model.opset_import[0].version = OPSET
    return model


def _version(operator: str, opset: int) -> int | None:
    """Since when an operator is as it is in an opset; ``None`` where it has none of that name."""
    try:
        since: int = defs.get_schema(operator, opset).since_version
    except defs.SchemaError:
        return None
    return since


def _older(node: onnx.NodeProto, constants: dict[str, onnx.TensorProto], opset: int) -> Iterator[onnx.NodeProto]:
    attributes = {one.name: helper.get_attribute_value(one) for one in node.attribute}
    if node.op_type == "Split":
        # Without sizes: as many as there are outputs, all alike. The graph's only splits are of q, k and v.
        attributes.pop("num_outputs", None)
        yield _node(node, list(node.input), attributes)
    elif node.op_type == "ReduceL2" and len(node.input) == 2:
        attributes.pop("noop_with_empty_axes", None)
        axes = numpy_helper.to_array(constants[node.input[1]]).tolist()
        yield _node(node, list(node.input[:1]), {**attributes, "axes": axes})
    elif node.op_type == "Shape" and attributes:
        ends = (attributes.get("start", 0), attributes.get("end", np.iinfo(np.int64).max))
        names = [f"{node.output[0]}.{name}" for name in ("whole", "start", "end")]
        for name, value in zip(names[1:], ends, strict=True):
            constants[name] = numpy_helper.from_array(np.array([value], np.int64), name)
        yield helper.make_node("Shape", list(node.input), names[:1], name=f"{node.name}.whole")
        yield _node(node, names, {}, "Slice")
    elif _version(node.op_type, OPSET) == _version(node.op_type, opset):
        yield node
    else:
        raise BackendError(
            f"{node.op_type} ({node.name}) is another operator in opset {OPSET}.",
            hint="TensorRT 8.6 reads no later one. Please report it.",
        )


def _node(
    node: onnx.NodeProto, inputs: list[str], attributes: Mapping[str, object], operator: str = ""
) -> onnx.NodeProto:
    return helper.make_node(operator or node.op_type, inputs, list(node.output), name=node.name, **attributes)
