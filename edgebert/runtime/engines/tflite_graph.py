"""What a TFLite interpreter executes: its nodes, and which of them XNNPACK took.

No public call tells. Python exposes the nodes of the first graph for debugging: those of the file, and behind them a
``DELEGATE`` node for each partition that a delegate took. XNNPACK is the only delegate that is ever applied here.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgebert.runtime.engines.base import Operator, count_operators

XNNPACK = "XNNPACK"
BUILTIN = "TFLite builtin kernel"

_DELEGATE = "DELEGATE"
_PRODUCT = "FULLY_CONNECTED"
"""Where the time goes: XNNPACK must have these. BATCH_MATMUL is left to the builtin kernels by older releases."""

_SUBGRAPHS = 2
"""``Model.subgraphs`` is the third field of the table, in the schema of TFLite."""


@dataclass(frozen=True, slots=True)
class Node:
    """A node of the interpreter's first graph; ``inputs`` and ``outputs`` are indices of tensors."""

    name: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Graph:
    """The nodes that the file has, and the places in them of those that XNNPACK took."""

    nodes: tuple[Node, ...]
    taken: frozenset[int]

    def state(self) -> str:
        """Whether XNNPACK is applied, in words."""
        if not self.taken:
            return "not applied"
        left, of = self._products()
        return f"applied, but not to {left} of {of} {_PRODUCT}" if left else "applied"

    def slowdown(self) -> str:
        """What is missing; empty when nothing is."""
        if not self.taken:
            return "XNNPACK, which has TFLite's fast kernels, is not applied"
        left, of = self._products()
        return f"XNNPACK, which has TFLite's fast kernels, leaves {left} of {of} {_PRODUCT} to others" if left else ""

    def _products(self) -> tuple[int, int]:
        places = [place for place, node in enumerate(self.nodes) if node.name == _PRODUCT]
        return sum(place not in self.taken for place in places), len(places)


def read_graph(interpreter: Any) -> Graph:  # noqa: ANN401 (a class of one of two modules)
    """The first graph of an interpreter whose tensors are allocated.

    A partition's nodes are those that its outputs need and its inputs do not give: a ``DELEGATE`` node names both.

    Raises:
        AttributeError, TypeError: this runtime has other private calls.
    """
    wrapper = interpreter._interpreter
    nodes = [
        Node(
            wrapper.NodeName(place),
            tuple(int(tensor) for tensor in wrapper.NodeInputs(place)),
            tuple(int(tensor) for tensor in wrapper.NodeOutputs(place)),
        )
        for place in range(wrapper.NumNodes())
    ]
    of_file = tuple(node for node in nodes if node.name != _DELEGATE)
    makers = {tensor: place for place, node in enumerate(of_file) for tensor in node.outputs}
    taken: set[int] = set()
    for partition in nodes:
        if partition.name == _DELEGATE:
            given = set(partition.inputs)
            needed = list(partition.outputs)
            while needed:
                place = makers.get(tensor := needed.pop())
                if place is not None and place not in taken and tensor not in given:
                    taken.add(place)
                    needed += of_file[place].inputs
    return Graph(of_file, frozenset(taken))


def graph_operators(interpreter: Any) -> tuple[Operator, ...]:  # noqa: ANN401
    """The operators of the first graph of an interpreter whose tensors are allocated.

    Raises:
        AttributeError, TypeError: this runtime has other private calls.
    """
    graph = read_graph(interpreter)
    types = {detail["index"]: _type(detail) for detail in interpreter.get_tensor_details()}
    return count_operators(
        _operator(node, types, XNNPACK if place in graph.taken else BUILTIN) for place, node in enumerate(graph.nodes)
    )


def with_graph_first(model: bytes, index: int) -> bytes:
    """A copy of a ``.tflite`` file with the first graph and that with this index exchanged.

    Only the first one can be looked at. Signatures of the copy name the wrong graphs: it is not to be run.
    """
    copy = bytearray(model)
    [root] = struct.unpack_from("<I", copy)
    [back] = struct.unpack_from("<i", copy, root)
    [field] = struct.unpack_from("<H", copy, root - back + 4 + 2 * _SUBGRAPHS)
    [offset] = struct.unpack_from("<I", copy, root + field)
    first = root + field + offset + 4  # behind the vector's length; each element is an offset from its own place
    other = first + 4 * index
    [to_first], [to_other] = struct.unpack_from("<I", copy, first), struct.unpack_from("<I", copy, other)
    struct.pack_into("<I", copy, first, other + to_other - first)
    struct.pack_into("<I", copy, other, first + to_first - other)
    return bytes(copy)


def _type(detail: Mapping[str, Any]) -> str:
    name: str = np.dtype(detail["dtype"]).name
    scales = len(detail["quantization_parameters"]["scales"])
    if scales == 0:
        return name
    return f"{name} per {'channel' if scales > 1 else 'tensor'}"


def _operator(node: Node, types: Mapping[int, str], executed_by: str) -> Operator:
    given, made = (_names(tensors, types) for tensors in (node.inputs, node.outputs))
    return Operator(1, node.name, f"{' x '.join(given)} -> {' x '.join(made)}", executed_by)


def _names(tensors: Sequence[int], types: Mapping[int, str]) -> list[str]:
    return [types[tensor] for tensor in tensors if tensor in types]  # -1 is an input left out
