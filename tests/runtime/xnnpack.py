"""XNNPACK as it may be missing: not there at all, as LiteRT itself can be told, or refusing an operator."""

from __future__ import annotations

import functools
from types import ModuleType

import numpy as np
import pytest


def litert() -> ModuleType:
    """The module of the interpreter, where it is installed."""
    module: ModuleType = pytest.importorskip("ai_edge_litert.interpreter", reason="XNNPACK comes with LiteRT")
    return module


def switch_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """Open interpreters without default delegates, of which XNNPACK is the only one."""
    module = litert()
    plain = module.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    monkeypatch.setattr(
        module, "Interpreter", functools.partial(module.Interpreter, experimental_op_resolver_type=plain)
    )


def refuse_a_product(model: bytes) -> bytes:
    """The float32 file with the weights of the first FULLY_CONNECTED of each graph in 8 bits of the type uint8.

    That is how TFLite once stored them: the builtin kernel takes such ones, XNNPACK leaves them.
    """
    from ai_edge_litert import schema_py_generated as schema

    from edgebert.convert.exporters.tflite_file import pack

    def edit(content: schema.ModelT) -> None:
        kinds = [code.builtinCode for code in content.operatorCodes]
        for graph in content.subgraphs:
            first = next(
                operator
                for operator in graph.operators
                if kinds[operator.opcodeIndex] == schema.BuiltinOperator.FULLY_CONNECTED
            )
            weights = graph.tensors[first.inputs[1]]
            values = content.buffers[weights.buffer].data.view(np.float32)
            scale = float(np.abs(values).max() / 127)
            coarse, quantized = schema.BufferT(), schema.TensorT()
            coarse.data = np.round(values / scale).astype(np.int8).view(np.uint8)  # the kernel reads it as int8
            content.buffers.append(coarse)
            quantized.name, quantized.type, quantized.shape = "coarse", schema.TensorType.UINT8, weights.shape
            quantized.buffer = len(content.buffers) - 1
            quantized.quantization = schema.QuantizationParametersT()
            quantized.quantization.scale = np.array([scale], np.float32)
            quantized.quantization.zeroPoint = np.zeros(1, np.int64)
            graph.tensors.append(quantized)
            first.inputs = np.array([first.inputs[0], len(graph.tensors) - 1, *first.inputs[2:]], np.int32)

    return pack(model, output_names=["logits"], edit=edit)
