"""What one thread runs a plan with: a stream, the memory of its contexts, and for each length a context of its own."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgebert.errors import BackendError
from edgebert.runtime.nvidia import api
from edgebert.runtime.nvidia.cudart import CudaRuntime
from edgebert.runtime.nvidia.log import Log, refusal


@dataclass(frozen=True, slots=True)
class Plan:
    """A plan that TensorRT has read, and what is needed to use it.

    Attributes:
        tensorrt: the module ``tensorrt``.
        engine: its ``ICudaEngine``.
        log: the logger of the engine's runtime.
        inputs: name -> dtype.
        outputs: name -> dtype.
        context_bytes: memory of the GPU that a context needs.
    """

    tensorrt: Any
    engine: Any
    log: Log
    inputs: Mapping[str, np.dtype[Any]]
    outputs: Mapping[str, np.dtype[Any]]
    context_bytes: int


@dataclass(frozen=True, slots=True)
class _Buffer:
    """A tensor in pinned memory and in the GPU's."""

    array: NDArray[Any]
    host: int
    device: int


class Lane:
    """Runs a plan for one thread at a time.

    Contexts of one lane never run at once, so that they share one piece of memory for their activations.

    Args:
        plan: what to run.
        cuda: the CUDA runtime.
        graphs: whether to record each length as a CUDA graph after its first run: one launch then stands for those of
            some hundred kernels. Where recording fails, the kernels are launched one by one as before.
    """

    def __init__(self, plan: Plan, cuda: CudaRuntime, *, graphs: bool) -> None:
        self._plan = plan
        self._cuda = cuda
        self._graphs = graphs
        self._slots: dict[int, _Slot] = {}
        self._owned = ExitStack()
        self._stream = 0
        self._memory = 0
        self.refused_graph = ""
        """Why a length could not be recorded; empty when all could."""

    def run(self, profile: int, feeds: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Computes the outputs.

        Args:
            profile: index of the optimization profile.
            feeds: name -> array of the shape that this profile takes.

        Returns:
            name -> array, owned by the caller.

        Raises:
            CudaError: CUDA fails; the number is ``OUT_OF_MEMORY`` when the GPU has too little for another lane.
            BackendError: TensorRT fails.
        """
        slot = self._slot(profile, feeds)
        for name, values in feeds.items():
            np.copyto(slot.buffers[name].array, values)
        if slot.graph:
            self._cuda.launch(slot.graph, self._stream)
        else:
            self._enqueue(slot)
        self._cuda.synchronize(self._stream)
        if self._graphs and not slot.graph and not self.refused_graph:
            self._record(slot)
        return {name: slot.buffers[name].array.copy() for name in self._plan.outputs}

    def slot(self, profile: int, feeds: Mapping[str, NDArray[Any]]) -> tuple[int, Any]:
        """Stream and context of a profile, ready to be run by hand, as a benchmark of TensorRT alone does."""
        context = self._slot(profile, feeds).context
        return self._stream, context

    def close(self) -> None:
        """Gives everything back. No run may be in progress."""
        for slot in self._slots.values():
            slot.owned.close()
        self._slots.clear()
        self._owned.close()
        self._stream = self._memory = 0

    def _slot(self, profile: int, feeds: Mapping[str, NDArray[Any]]) -> _Slot:
        if profile not in self._slots:
            self._slots[profile] = self._open(profile, {name: values.shape for name, values in feeds.items()})
        return self._slots[profile]

    def _prepare(self, size: int) -> None:
        with ExitStack() as stack:
            stream = self._cuda.create_stream()
            stack.callback(self._cuda.destroy_stream, stream)
            memory = self._cuda.allocate(size)
            stack.callback(self._cuda.free, memory)
            self._stream, self._memory, self._owned = stream, memory, stack.pop_all()

    def _open(self, profile: int, shapes: Mapping[str, tuple[int, ...]]) -> _Slot:
        plan = self._plan
        size = max(plan.context_bytes, 1)
        if not self._memory:
            self._prepare(size)
        context = api.create_context(plan.tensorrt, plan.engine)
        if context is None:
            raise refusal(plan.log, "makes no execution context")
        api.give_memory(context, self._memory, size)
        if not context.set_optimization_profile_async(profile, self._stream):
            raise refusal(plan.log, f"refuses optimization profile {profile}")
        self._cuda.synchronize(self._stream)
        for name, shape in shapes.items():
            if not context.set_input_shape(name, shape):
                raise refusal(plan.log, f"refuses the shape {shape} of {name}")
        tensors = {name: (dtype, shapes[name]) for name, dtype in plan.inputs.items()}
        for name, dtype in plan.outputs.items():
            tensors[name] = (dtype, tuple(context.get_tensor_shape(name)))
        with ExitStack() as stack:
            buffers = {name: self._buffer(stack, dtype, shape) for name, (dtype, shape) in tensors.items()}
            for name, buffer in buffers.items():
                if not context.set_tensor_address(name, buffer.device):
                    raise refusal(plan.log, f"refuses the address of {name}")
            return _Slot(context, buffers, stack.pop_all())

    def _buffer(self, stack: ExitStack, dtype: np.dtype[Any], shape: tuple[int, ...]) -> _Buffer:
        host, array = self._cuda.allocate_pinned(dtype, shape)
        stack.callback(self._cuda.free_pinned, host)
        device = self._cuda.allocate(max(array.nbytes, 1))
        stack.callback(self._cuda.free, device)
        return _Buffer(array, host, device)

    def _enqueue(self, slot: _Slot) -> None:
        for name in self._plan.inputs:
            buffer = slot.buffers[name]
            self._cuda.copy_to_device(buffer.device, buffer.host, buffer.array.nbytes, self._stream)
        if not slot.context.execute_async_v3(self._stream):
            raise refusal(self._plan.log, "does not run the plan")
        for name in self._plan.outputs:
            buffer = slot.buffers[name]
            self._cuda.copy_to_host(buffer.host, buffer.device, buffer.array.nbytes, self._stream)

    def _record(self, slot: _Slot) -> None:
        try:
            slot.graph = self._cuda.record(self._stream, lambda: self._enqueue(slot))
        except BackendError as error:
            self.refused_graph = error.message
        else:
            slot.owned.callback(self._cuda.destroy_graph, slot.graph)


class _Slot:
    """A context with the tensors of one length."""

    def __init__(self, context: Any, buffers: Mapping[str, _Buffer], owned: ExitStack) -> None:  # noqa: ANN401
        self.context = context
        self.buffers = buffers
        self.owned = owned
        self.graph = 0
