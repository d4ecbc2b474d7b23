"""What the builder makes of the types of a network, and what the inspector tells of the layers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.jetson.fake_tensorrt.network import Layer, Network, Tensor

if TYPE_CHECKING:
    from tests.jetson.fake_tensorrt.builder import Config

_NAMES = {"FLOAT": "FP32", "HALF": "FP16", "INT8": "Int8", "INT32": "Int32", "INT64": "Int64", "BOOL": "Bool"}
_REPORTED = {"MATRIX_MULTIPLY": "gemm", "CAST": "reformat", "SHUFFLE": "shuffle", "CONSTANT": "constant"}


def choose_types(network: Network, config: Config) -> dict[str, str]:
    """Tensor name -> type.

    Strongly typed, it is that of the file. Weakly typed, the builder takes what is fastest among the flags: of a tensor
    in float32 whose layer nobody has constrained, that is float16, where the flags allow it.
    """
    kinds = {one.name: one.kind for one in network.inputs}
    binding = {one.name for one in (*network.inputs, *network.outputs)}
    obeys = config.has("OBEY_PRECISION_CONSTRAINTS") or config.has("PREFER_PRECISION_CONSTRAINTS")
    for layer in network.layers:
        for index, output in enumerate(layer.outputs):
            kind = output.kind
            constrained = obeys and (layer.precision_is_set or index in layer.output_types)
            free = not network.strongly_typed and not constrained and output.name not in binding
            if kind == "FLOAT" and free and config.has("FP16"):
                kind = "HALF"
            if obeys and index in layer.output_types:
                kind = layer.output_types[index].name
            kinds[output.name] = kind
    return kinds


def layer_reports(network: Network, kinds: dict[str, str], detailed: bool) -> list[dict[str, Any]]:
    """What the engine inspector tells of each layer that runs on the GPU; only its name unless ``detailed``."""
    running = [
        layer for layer in network.layers if layer.kind != "CONSTANT" and any(_runs(one) for one in layer.outputs)
    ]
    return [_report(layer, kinds) if detailed else {"Name": layer.name} for layer in running]


def _runs(tensor: Tensor) -> bool:
    return not tensor.is_shape_tensor


def _report(layer: Layer, kinds: dict[str, str]) -> dict[str, Any]:
    inputs = [_tensor(one, kinds) for one in layer.inputs if one is not None and one.name in kinds]
    outputs = [_tensor(one, kinds) for one in layer.outputs]
    precision = _NAMES.get(kinds[layer.outputs[0].name], "FP32").lower() if layer.outputs else "fp32"
    return {
        "Name": layer.name,
        "LayerType": {"MATRIX_MULTIPLY": "gemm", "CAST": "Reformat"}.get(
            layer.kind, layer.kind.title().replace("_", "")
        ),
        "Inputs": inputs,
        "Outputs": outputs,
        "ParameterType": layer.kind.title().replace("_", ""),
        "TacticName": f"sm80_{_REPORTED.get(layer.kind, layer.kind.lower())}_{precision}_tn_n_tilesize64x64_stage4",
        "TacticValue": "0x0000000000000001",
        "StreamId": 0,
        "Metadata": layer.metadata,
    }


def _tensor(tensor: Tensor, kinds: dict[str, str]) -> dict[str, Any]:
    name = _NAMES.get(kinds[tensor.name], kinds[tensor.name])
    return {
        "Name": tensor.name,
        "Location": "Device",
        "Dimensions": tensor.sizes,
        "Format/Datatype": f"Row major linear {name} format",
    }
