"""Networks and the ONNX parser: a layer for each node of the file, and one for each of its weights."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import onnx
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from onnx import TensorProto

from tests.jetson.fake_tensorrt.events import note, refused_operators
from tests.jetson.fake_tensorrt.strict import Api, complain, dims

_KINDS = {
    "ACTIVATION": "Gelu HardSigmoid LeakyRelu Relu Sigmoid Softplus Tanh Clip Elu Selu",
    "CAST": "Cast CastLike",
    "CONCATENATION": "Concat",
    "CONSTANT": "Constant",
    "DEQUANTIZE": "DequantizeLinear",
    "ELEMENTWISE": "Add Sub Mul Div Pow Max Min And Or Equal Greater GreaterOrEqual Less LessOrEqual Mod Sum",
    "FILL": "ConstantOfShape Range",
    "GATHER": "Gather GatherElements GatherND",
    "IDENTITY": "Identity Dropout",
    "MATRIX_MULTIPLY": "MatMul Gemm",
    "NORMALIZATION": "LayerNormalization InstanceNormalization",
    "QUANTIZE": "QuantizeLinear",
    "REDUCE": "ReduceMean ReduceSum ReduceMax ReduceMin ReduceProd",
    "SELECT": "Where",
    "SHAPE": "Shape Size",
    "SHUFFLE": "Reshape Transpose Squeeze Unsqueeze Flatten",
    "SLICE": "Slice Split Expand Tile Pad",
    "SOFTMAX": "Softmax LogSoftmax",
    "TOPK": "TopK ArgMax ArgMin",
    "CUMULATIVE": "CumSum",
    "UNARY": "Abs Ceil Cos Erf Exp Floor Log Neg Not Reciprocal Round Sign Sin Sqrt IsInf IsNaN",
}
_KIND = {operator: kind for kind, operators in _KINDS.items() for operator in operators.split()}
_TYPES = {
    TensorProto.FLOAT: "FLOAT",
    TensorProto.FLOAT16: "HALF",
    TensorProto.BFLOAT16: "BF16",
    TensorProto.INT8: "INT8",
    TensorProto.UINT8: "UINT8",
    TensorProto.INT32: "INT32",
    TensorProto.INT64: "INT64",
    TensorProto.BOOL: "BOOL",
}
_INTEGERS = ("INT32", "INT64", "BOOL")


class Dims:
    """``Dims``."""

    def __init__(self, api: Api, shape: Sequence[int] = ()) -> None:
        self.shape = tuple(int(one) for one in shape)
        self.MAX_DIMS = 8

    def __len__(self) -> int:
        return len(self.shape)

    def __getitem__(self, place: Any) -> Any:
        return self.shape[place]


def make_dims(api: Api, shape: Sequence[int]) -> Any:
    """An object of the user's ``Dims``."""
    return api.module.Dims(list(shape))


class Tensor:
    """``ITensor``."""

    def __init__(self, api: Api, name: str, kind: str, shape: Sequence[int]) -> None:
        self._api = api
        self.name = name
        self.kind = kind
        self.sizes = list(shape)
        self.is_network_input = False
        self.is_network_output = False
        self.is_shape_tensor = False

    @property
    def dtype(self) -> Any:
        return self._api.enum("DataType", self.kind)

    @property
    def shape(self) -> Any:
        return make_dims(self._api, self.sizes)

    @property
    def is_execution_tensor(self) -> bool:
        return not self.is_shape_tensor


class Layer:
    """``ILayer``. Where nobody set a precision, the real one tells float32, whatever the layer computes."""

    def __init__(self, api: Api, name: str, kind: str, inputs: list[Tensor | None], outputs: list[Tensor]) -> None:
        self._api = api
        self.name = name
        self.metadata = ""
        self.kind = kind
        self.inputs = inputs
        self.outputs = outputs
        self.precision_is_set = False
        self._precision = api.enum("DataType", "FLOAT")
        self.output_types: dict[int, Any] = {}

    @property
    def type(self) -> Any:
        return self._api.enum("LayerType", self.kind)

    @property
    def num_inputs(self) -> int:
        return len(self.inputs)

    @property
    def num_outputs(self) -> int:
        return len(self.outputs)

    @property
    def precision(self) -> Any:
        return self._precision

    @precision.setter
    def precision(self, value: Any) -> None:
        self._precision = value
        self.precision_is_set = True

    def reset_precision(self) -> None:
        self._precision = self._api.enum("DataType", "FLOAT")
        self.precision_is_set = False

    def get_input(self, index: int) -> Any:
        found = self.inputs[index] if 0 <= index < len(self.inputs) else None
        return None if found is None else self._api.show("ITensor", found)

    def get_output(self, index: int) -> Any:
        return self._api.show("ITensor", self.outputs[index]) if 0 <= index < len(self.outputs) else None

    def get_output_type(self, index: int) -> Any:
        return self.output_types.get(index, self.outputs[index].dtype)

    def set_output_type(self, index: int, dtype: Any) -> None:
        self.output_types[index] = dtype

    def output_type_is_set(self, index: int) -> bool:
        return index in self.output_types

    def reset_output_type(self, index: int) -> None:
        self.output_types.pop(index, None)


class Network:
    """``INetworkDefinition``; ``model`` is the file with its weights, once parsed."""

    def __init__(self, api: Api, builder: Any, flags: int) -> None:
        self._api = api
        self.builder = builder
        self.flags = flags
        self.name = "Unnamed Network 0"
        self.error_recorder = None
        self.layers: list[Layer] = []
        self.inputs: list[Tensor] = []
        self.outputs: list[Tensor] = []
        self.model: onnx.ModelProto | None = None

    def has(self, flag: str) -> bool:
        member = self._api.enum("NetworkDefinitionCreationFlag", flag)
        return member is not None and bool(self.flags & (1 << int(member)))

    @property
    def strongly_typed(self) -> bool:
        return self._api.major >= 11 or self.has("STRONGLY_TYPED")

    @property
    def has_implicit_batch_dimension(self) -> bool:
        return self._api.major < 10 and not self.has("EXPLICIT_BATCH")

    @property
    def num_layers(self) -> int:
        return len(self.layers)

    def __len__(self) -> int:
        return len(self.layers)

    @property
    def num_inputs(self) -> int:
        return len(self.inputs)

    @property
    def num_outputs(self) -> int:
        return len(self.outputs)

    def get_flag(self, flag: Any) -> bool:
        return bool(self.flags & (1 << int(flag)))

    def get_layer(self, index: int) -> Any:
        return self._api.show("ILayer", self.layers[index]) if 0 <= index < len(self.layers) else None

    def __getitem__(self, index: int) -> Any:
        if not 0 <= index < len(self.layers):
            raise IndexError("Out of bounds")
        return self.get_layer(index)

    def get_input(self, index: int) -> Any:
        return self._api.show("ITensor", self.inputs[index]) if 0 <= index < len(self.inputs) else None

    def get_output(self, index: int) -> Any:
        return self._api.show("ITensor", self.outputs[index]) if 0 <= index < len(self.outputs) else None

    def fill(self, model: onnx.ModelProto) -> None:
        """Takes the layers of a file that the parser has accepted."""
        self.model = model
        self.name = model.graph.name
        known = _types(self._api, model)
        weights = {tensor.name: tensor for tensor in model.graph.initializer}
        tensors: dict[str, Tensor] = {}

        def tensor(name: str) -> Tensor:
            kind, shape = known.get(name, ("FLOAT", ()))
            return tensors.setdefault(name, Tensor(self._api, name, kind, shape))

        for value in model.graph.input:
            if value.name not in weights:
                self.inputs.append(tensor(value.name))
                self.inputs[-1].is_network_input = True
        about_shapes = {name for name, kind in weights.items() if _kind(self._api, kind.data_type) in _INTEGERS}
        for name in weights:
            self.layers.append(Layer(self._api, name, "CONSTANT", [], [tensor(name)]))
        for place, node in enumerate(model.graph.node):
            inputs = [tensor(name) if name else None for name in node.input]
            outputs = [tensor(name) for name in node.output if name]
            # What is computed from shapes and integer constants alone is computed on the CPU.
            given = [name for name in node.input if name]
            if node.op_type in ("Shape", "Size") or all(name in about_shapes for name in given):
                integers = [output.name for output in outputs if output.kind in _INTEGERS]
                about_shapes.update(integers)
                for output in outputs:
                    output.is_shape_tensor = output.name in integers
            name = node.name or f"(Unnamed Layer* {place}) [{_KIND[node.op_type]}]"
            self.layers.append(Layer(self._api, name, _KIND[node.op_type], inputs, outputs))
        for value in model.graph.output:
            self.outputs.append(tensor(value.name))
            self.outputs[-1].is_network_output = True


def _kind(api: Api, elem_type: int) -> str:
    kind = _TYPES.get(elem_type, "FLOAT")
    return "INT32" if kind == "INT64" and api.major < 10 else kind  # 8.6 has no INT64: the parser narrows


def _types(api: Api, model: onnx.ModelProto) -> dict[str, tuple[str, list[int]]]:
    shown = onnx.shape_inference.infer_shapes(model).graph
    known = {tensor.name: (_kind(api, tensor.data_type), list(tensor.dims)) for tensor in model.graph.initializer}
    for value in (*shown.value_info, *shown.input, *shown.output):
        kind = value.type.tensor_type
        shape = [one.dim_value if one.HasField("dim_value") else -1 for one in kind.shape.dim]
        known[value.name] = (_kind(api, kind.elem_type), shape)
    return known


class ParserError:
    """``ParserError``."""

    def __init__(self, api: Api, code: str, text: str, node: int, name: str = "", operator: str = "") -> None:
        self._api = api
        self._facts = (code, text, node, name, operator)

    def code(self) -> Any:
        return self._api.enum("ErrorCode", self._facts[0])

    def desc(self) -> str:
        return self._facts[1]

    def node(self) -> int:
        return self._facts[2]

    def node_name(self) -> str:
        return self._facts[3]

    def node_operator(self) -> str:
        return self._facts[4]

    def file(self) -> str:
        return "ModelImporter.cpp"

    def line(self) -> int:
        return 773

    def func(self) -> str:
        return "parseNode"

    def local_function_stack(self) -> list[str]:
        return []

    def local_function_stack_size(self) -> int:
        return 0


class Parser:
    """``OnnxParser``."""

    def __init__(self, api: Api, network: Any, logger: Any) -> None:
        self._api = api
        self._network: Network = network._fake
        self._logger = logger
        self._errors: list[ParserError] = []
        self.flags = 0

    @property
    def num_errors(self) -> int:
        return len(self._errors)

    def get_error(self, index: int) -> Any:
        if not 0 <= index < len(self._errors):
            complain(self._logger, "ERROR", f"vector::_M_range_check: __n (which is {index})")
            return None
        return self._api.show("ParserError", self._errors[index])

    def clear_errors(self) -> None:
        self._errors.clear()

    def supports_operator(self, op_name: str) -> bool:
        return op_name in _KIND and op_name not in refused_operators()

    def parse_from_file(self, model: str) -> bool:
        self._errors.clear()
        try:
            parsed = onnx.load(model)  # with the weights that lie beside it
        except DecodeError:
            return self._fail("MODEL_DESERIALIZE_FAILED", "Failed to parse the ONNX model.", -1)
        except (OSError, ValueError, onnx.checker.ValidationError) as error:
            text = f"Input file cannot be found, or is not a regular file: {model} ({error})"
            return self._fail("INVALID_VALUE", text, -1)
        if not parsed.graph.node:
            return self._fail("MODEL_DESERIALIZE_FAILED", "Failed to parse the ONNX model.", -1)
        if self._network.has_implicit_batch_dimension:
            text = "Failed to parse: this version of the ONNX parser only supports networks with an explicit batch"
            return self._fail("INVALID_VALUE", text, -1)
        for place, node in enumerate(parsed.graph.node):
            if not self.supports_operator(node.op_type):
                if self._api.major < 10:  # it stops at the first one
                    text = f"No importer registered for op: {node.op_type}"
                    return self._fail("UNSUPPORTED_NODE", text, place, node.name, node.op_type)
                text = 'creator && "Plugin not found, are the plugin name, version, and namespace correct?"'
                self._fail("INVALID_NODE", text, place, node.name, node.op_type)
        if self._errors:
            return False
        self._network.fill(parsed)
        note("parse", file=Path(model).name, nodes=len(parsed.graph.node), layers=self._network.num_layers)
        return True

    def _fail(self, code: str, text: str, node: int, name: str = "", operator: str = "") -> bool:
        self._errors.append(ParserError(self._api, code, text, node, name, operator))
        complain(self._logger, "ERROR", f"ModelImporter.cpp:773: {text}")
        return False


class OptimizationProfile:
    """``IOptimizationProfile``."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self.shapes: dict[str, list[list[int]]] = {}
        self.extra_memory_target = 1.0

    def set_shape(self, input: str, min: Any, opt: Any, max: Any) -> None:
        shapes = [list(dims(one)) for one in (min, opt, max)]
        # Whether they are in order is looked at by the build.
        if any(one < 0 for shape in shapes for one in shape):
            raise RuntimeError("Shape provided for min is inconsistent with other shapes.")
        self.shapes[input] = shapes

    def get_shape(self, input: str) -> list[Any]:
        return [make_dims(self._api, shape) for shape in self.shapes.get(input, [])]


CLASSES: dict[str, Any] = {"Dims": Dims, "OnnxParser": Parser}
