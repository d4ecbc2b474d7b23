"""Why the builder refuses a network, in the words of the real one as far as they are known."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from tests.jetson.fake_tensorrt.events import told
from tests.jetson.fake_tensorrt.network import Layer, Network
from tests.jetson.fake_tensorrt.strict import complain

if TYPE_CHECKING:
    from tests.jetson.fake_tensorrt.builder import Config

_FLAGS = {"HALF": "FP16", "INT8": "INT8", "BF16": "BF16"}
_FLOATS = ("FLOAT", "HALF", "BF16")
_OF_WEAK_TYPING = ("FP16", "INT8", "BF16", "FP8", "OBEY_PRECISION_CONSTRAINTS", "PREFER_PRECISION_CONSTRAINTS")


def problems(network: Network, config: Config, logger: Any) -> Iterator[str]:
    """One after the other; the real one stops at the first."""
    if not network.layers or not network.outputs:
        yield _internal("Network must have at least one output")
    yield from _of_strong_typing(network, config) if network.strongly_typed else _of_weak_typing(network, config)
    yield from _of_profiles(network, config)
    if told("oom-build"):
        complain(logger, "WARNING", "Requested amount of GPU memory (1073741824 bytes) could not be allocated.")
        complain(logger, "ERROR", "2: [virtualMemoryBuffer.cpp::resizePhysical::140] Error Code 2: OutOfMemory")
        yield "10: [optimizer.cpp::computeCosts] Error Code 10: Internal Error (Could not find any implementation)"


def _internal(text: str) -> str:
    return f"4: [network.cpp::validate] Error Code 4: Internal Error ({text})"


def _of_strong_typing(network: Network, config: Config) -> Iterator[str]:
    for name in _OF_WEAK_TYPING:
        if config.has(name):
            yield f"3: [builder.cpp] Error Code 3: API Usage Error (BuilderFlag {name} with a strongly typed network)"
    if any(layer.precision_is_set or layer.output_types for layer in network.layers):
        yield "3: [network.cpp] Error Code 3: API Usage Error (precision set in a strongly typed network)"


def _of_weak_typing(network: Network, config: Config) -> Iterator[str]:
    # A network may hold what the flags do not allow only where nothing computes with it.
    for layer in network.layers:
        for kind in sorted(_kinds(layer) & set(_FLAGS)):
            if not config.has(_FLAGS[kind]):
                what = _FLAGS[kind].lower()
                set_for = f"{what} precision has been set for a layer or layer output"
                yield _internal(f"{set_for}, but {what} is not configured in the builder")
        for index, kind in layer.output_types.items():
            if (layer.outputs[index].kind in _FLOATS) != (kind.name in _FLOATS):
                yield _internal(f"{layer.name}: output {index} cannot have the type {kind.name}")
    quantizes = any(layer.kind in ("QUANTIZE", "DEQUANTIZE") for layer in network.layers)
    if quantizes and not config.has("INT8"):
        yield _internal("the network has Q/DQ layers, but int8 is not configured in the builder")


def _kinds(layer: Layer) -> set[str]:
    kinds = {kind.name for kind in layer.output_types.values()}
    if layer.precision_is_set:
        kinds.add(layer.precision.name)
    if layer.kind not in ("CONSTANT", "CAST", "QUANTIZE"):
        kinds.update(output.kind for output in layer.outputs)
    return kinds


def _of_profiles(network: Network, config: Config) -> Iterator[str]:
    dynamic = [one for one in network.inputs if any(size < 0 for size in one.sizes)]
    if dynamic and not config.profiles:
        yield _internal("Network has dynamic or shape inputs, but no optimization profile has been defined.")
    for index, profile in enumerate(config.profiles):
        for name, (low, middle, high) in profile.shapes.items():
            ordered = len(low) == len(middle) == len(high)
            if not ordered or any(a > b or b > c for a, b, c in zip(low, middle, high, strict=True)):
                yield _internal(f"{name}: min <= opt <= max does not hold in profile {index}")
        for one in dynamic:
            if one.name not in profile.shapes:
                yield _internal(f"Dynamic input tensor {one.name} is missing dimensions in profile {index}.")
            for shape in profile.shapes.get(one.name, []):
                if len(shape) != len(one.sizes):
                    yield _internal(f"{one.name} has {len(one.sizes)} dimensions but profile {index} has {len(shape)}")
                elif any(fixed not in (-1, size) for fixed, size in zip(one.sizes, shape, strict=True)):
                    yield _internal(f"{one.name}: the shape {shape} of profile {index} does not fit {one.sizes}")
