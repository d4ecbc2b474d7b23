"""Where the Python interfaces of TensorRT 8.6, 10 and 11 differ. What a module has decides, not its version's number.

=============================== ============================ ==================== ================
what                            8.6                          10                   11
=============================== ============================ ==================== ================
types of the network            chosen by the builder        as the file says,    as the file says
                                among those of its flags     if asked for
precision                       ``BuilderFlag.FP16``         of the file          of the file
contexts may share a profile    if asked for                 always               always
context without memory          a method of its own          a strategy           a strategy
memory of a context             an address                   address and size     address and size
progress of a build             nothing                      ``IProgressMonitor`` as 10
=============================== ============================ ==================== ================

Sources: NVIDIA's Python bindings of each, and its migration guides.
"""

from __future__ import annotations

from typing import Any

# ruff: noqa: ANN401 - objects of a module that only a device has


def create_network(tensorrt: Any, builder: Any) -> Any:
    """An empty network, strongly typed where TensorRT can: it then computes in the precisions that the file says."""
    flags = tensorrt.NetworkDefinitionCreationFlag
    if is_strongly_typed(tensorrt):
        return builder.create_network(1 << int(flags.STRONGLY_TYPED))
    return builder.create_network(1 << int(flags.EXPLICIT_BATCH))


def is_strongly_typed(tensorrt: Any) -> bool:
    """Whether TensorRT can be told to compute in the precisions that the file says."""
    return hasattr(tensorrt.NetworkDefinitionCreationFlag, "STRONGLY_TYPED")


def set_precision(tensorrt: Any, config: Any, network: Any, precision: str) -> None:
    """Lets the builder compute in ``precision``, and in float32 where the file says float32.

    A strongly typed network needs nothing for it. Everywhere float32 is float32: TF32, which TensorRT would use
    unasked, keeps 10 bits of the mantissa.
    """
    config.clear_flag(tensorrt.BuilderFlag.TF32)
    if is_strongly_typed(tensorrt) or precision == "fp32":
        return
    config.set_flag(tensorrt.BuilderFlag.FP16)
    # Not OBEY: it makes a build fail where no kernel of a fused group has the type. The self-test judges the rest.
    config.set_flag(tensorrt.BuilderFlag.PREFER_PRECISION_CONSTRAINTS)
    for layer in _float32_layers(tensorrt, network):
        layer.precision = tensorrt.DataType.FLOAT
        for index in range(layer.num_outputs):
            layer.set_output_type(index, tensorrt.DataType.FLOAT)


def _float32_layers(tensorrt: Any, network: Any) -> list[Any]:
    """The layers that compute in float32 by the file.

    What a cast or a constant gives is sure. From there on types are followed here, since it is not documented whether
    TensorRT 8.6 does so before it builds: a layer has float16 if any of its inputs has.
    """
    kinds = tensorrt.LayerType
    half: dict[str, bool] = {}
    found = []
    for layer in (network.get_layer(index) for index in range(network.num_layers)):
        outputs = [layer.get_output(index) for index in range(layer.num_outputs)]
        sure = layer.type in (kinds.CAST, kinds.CONSTANT)
        if sure:
            is_half = outputs[0].dtype == tensorrt.DataType.HALF
        else:
            inputs = [layer.get_input(index) for index in range(layer.num_inputs)]
            is_half = any(half.get(one.name, False) for one in inputs if one is not None)
        half.update((output.name, is_half) for output in outputs)
        computes = not sure and layer.type != kinds.SHAPE and not is_half
        if computes and all(o.dtype == tensorrt.DataType.FLOAT and o.is_execution_tensor for o in outputs):
            found.append(layer)
    return found


def share_profiles(tensorrt: Any, config: Any) -> None:
    """Lets several contexts use one optimization profile at a time; TensorRT 10 always does."""
    feature = getattr(tensorrt.PreviewFeature, "PROFILE_SHARING_0806", None)
    if feature is not None and not is_strongly_typed(tensorrt):
        config.set_preview_feature(feature, True)


def create_context(tensorrt: Any, engine: Any) -> Any:
    """An execution context that has no memory yet; ``None`` when it fails."""
    strategies = getattr(tensorrt, "ExecutionContextAllocationStrategy", None)
    if strategies is None:
        return engine.create_execution_context_without_device_memory()
    return engine.create_execution_context(strategies.USER_MANAGED)


def context_memory(engine: Any) -> int:
    """How much memory of the GPU a context needs, in bytes, whatever its profile."""
    size = engine.device_memory_size_v2 if hasattr(engine, "device_memory_size_v2") else engine.device_memory_size
    return int(size)


def give_memory(context: Any, address: int, size: int) -> None:
    """Lets a context use ``size`` bytes at ``address``, which must be aligned to 256, while it runs."""
    if hasattr(context, "set_device_memory"):
        context.set_device_memory(address, size)
    else:
        context.device_memory = address
