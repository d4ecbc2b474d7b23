"""``IExecutionContext``: refuses what the real one refuses, and ends the process where the real one is undefined.

TensorRT logs an error and returns ``False`` where it can tell. It cannot tell that two threads use one context, that a
context has no memory or that two contexts run in the same memory at once: on a GPU that ends in a crash or, worse, in
wrong answers. Here it ends the process.
"""

from __future__ import annotations

import contextlib
import ctypes
import itertools
import sys
import threading
import time
import traceback
import weakref
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tests.jetson.fake_tensorrt import driver
from tests.jetson.fake_tensorrt.events import die, note, told
from tests.jetson.fake_tensorrt.functions import nptype
from tests.jetson.fake_tensorrt.network import Tensor, make_dims
from tests.jetson.fake_tensorrt.strict import Api, complain, dims

if TYPE_CHECKING:
    from tests.jetson.fake_tensorrt.runtime import Engine

_HOLD_S = 0.0005
"""How long a call stays in a context, so that a second thread runs into it."""


@dataclass(frozen=True)
class _Job:
    """One run, as it was given to a stream."""

    context: weakref.ref[Context]
    shapes: dict[str, tuple[int, ...]]
    addresses: dict[str, int]


_jobs: dict[int, _Job] = {}
_numbers = itertools.count(1)
_running: dict[int, tuple[int, int]] = {}
"""What waits or runs outside of graphs: number of the job -> its stream, and the memory of its context."""
_guard = threading.Lock()


def _run(number: int) -> None:
    """Called by the CUDA runtime when the stream gets there: by whichever thread synchronizes."""
    job = _jobs[number]
    context = job.context()
    if context is None:
        die("a run or a graph of a context that has been freed")
    try:
        context._compute(job)
    except Exception:
        traceback.print_exc(file=sys.stderr)
        driver.cudart().fake_illegal()
    with _guard:
        if _running.pop(number, None) is not None:  # of a graph, it may run again
            del _jobs[number]


_callback = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(_run)


class Context:
    """``IExecutionContext``."""

    def __init__(self, api: Api, engine: Engine, memory: driver.DeviceMemory | None) -> None:
        self._api = api
        self._engine = engine  # keeps its weights alive
        self._own = memory
        self._memory = 0 if memory is None else memory.address
        self._size = engine.device_memory_size if memory is not None else 0
        self._profile = 0 if engine.num_optimization_profiles == 1 else -1
        self._shapes: dict[str, tuple[int, ...]] = {}
        self._addresses: dict[str, int] = {}
        self._inside: int | None = None
        self.name = ""
        self.error_recorder: Any = None
        self.debug_sync = False
        self.enqueue_emits_profile = True
        self.persistent_cache_limit = 0
        if self._profile == 0:
            engine.users[0] = engine.users.get(0, 0) + 1

    def __del__(self) -> None:
        if self._profile >= 0:
            self._engine.users[self._profile] -= 1
        if self._own is not None:
            self._own.free()

    @property
    def engine(self) -> Any:
        return self._api.show("ICudaEngine", self._engine)

    @property
    def active_optimization_profile(self) -> int:
        return self._profile

    @property
    def all_binding_shapes_specified(self) -> bool:
        return not self.infer_shapes()

    @contextlib.contextmanager
    def _alone(self, what: str) -> Iterator[None]:
        thread = threading.get_ident()
        if self._inside not in (None, thread):
            die(f"{what} while another thread is in the same execution context")
        self._inside = thread
        try:
            time.sleep(_HOLD_S)
            if self._inside != thread:
                die(f"{what} while another thread is in the same execution context")
            yield
        finally:
            self._inside = None

    def _refuse(self, text: str) -> bool:
        complain(self._engine.logger, "ERROR", f"3: [executionContext.cpp] Error Code 3: API Usage Error ({text})")
        return False

    def _needs(self) -> int:
        return self._engine.device_memory_size if self._profile < 0 else self._engine.bytes_for(self._profile)

    def set_device_memory(self, memory: int, size: int) -> None:
        with self._alone("set_device_memory"):
            self._give(memory, size)

    @property
    def device_memory(self) -> int:
        return self._memory

    @device_memory.setter
    def device_memory(self, memory: int) -> None:
        with self._alone("device_memory"):
            self._give(memory, self._engine.device_memory_size)

    def _give(self, memory: int, size: int) -> None:
        if self._own is not None:
            self._refuse("the context has memory of its own")
        elif memory % 256 or not driver.cudart().fake_holds(memory, size):
            die(f"the memory of a context is not {size} bytes of the GPU's, aligned to 256")
        else:
            self._memory, self._size = memory, size

    def set_optimization_profile_async(self, profile_index: int, stream_handle: int) -> bool:
        with self._alone("set_optimization_profile_async"):
            users = self._engine.users
            problem = None
            if not 0 <= profile_index < self._engine.num_optimization_profiles:
                problem = f"profile {profile_index} of {self._engine.num_optimization_profiles}"
            elif driver.cudart().fake_capturing(stream_handle):
                problem = "a profile is chosen while the stream is captured"
            elif (
                profile_index != self._profile and users.get(profile_index) and not self._engine.header.shares_profiles
            ):
                problem = f"Profile {profile_index} has been chosen by another IExecutionContext"
            if problem is not None:
                self._refuse(problem)
                raise RuntimeError("Error in set optimization profile async.")
            if self._profile >= 0:
                users[self._profile] -= 1
            users[profile_index] = users.get(profile_index, 0) + 1
            if profile_index != self._profile:
                self._shapes.clear()
            self._profile = profile_index
            note("set_profile", profile=profile_index)
            return True

    def set_input_shape(self, name: str, shape: Any) -> bool:
        with self._alone("set_input_shape"):
            asked = dims(shape)
            tensor = self._engine.inputs.get(name)
            if tensor is None:
                return self._refuse(f"no input has the name {name}")
            if self._profile < 0:
                return self._refuse("no optimization profile has been chosen")
            low, _, high = self._engine.profiles[self._profile].get(name) or [tensor.sizes] * 3
            inside = len(asked) == len(low) and all(a <= b <= c for a, b, c in zip(low, asked, high, strict=True))
            if not inside:
                return self._refuse(
                    f"Static/dynamic dimension mismatch: {name} is set to {list(asked)}, but is {low} to {high} in "
                    f"profile {self._profile}"
                )
            self._shapes[name] = asked
            return True

    def infer_shapes(self) -> list[str]:
        return [name for name, one in self._engine.inputs.items() if name not in self._shapes and -1 in one.sizes]

    def get_tensor_shape(self, name: str) -> Any:
        with self._alone("get_tensor_shape"):
            tensor = self._engine.inputs.get(name) or self._engine.outputs.get(name)
            if tensor is None:
                self._refuse(f"no tensor has the name {name}")
                return make_dims(self._api, [])
            return make_dims(self._api, self._shape(name, tensor))

    def _shape(self, name: str, tensor: Tensor) -> Sequence[int]:
        if name in self._engine.inputs:
            return self._shapes.get(name, tensor.sizes)
        if -1 not in tensor.sizes:
            return tensor.sizes
        if self.infer_shapes():
            return tensor.sizes
        # The names of the file's dimensions tell, where they have any.
        assert self._engine.model is not None
        graph = self._engine.model.graph
        sizes: dict[str, int] = {}
        for value in graph.input:
            if value.name in self._shapes:
                known = zip(value.type.tensor_type.shape.dim, self._shapes[value.name], strict=True)
                sizes.update({one.dim_param: size for one, size in known if one.dim_param})
        output = next(value for value in graph.output if value.name == name)
        named = [one.dim_value or sizes.get(one.dim_param, -1) for one in output.type.tensor_type.shape.dim]
        return named if -1 not in named else self._computed(name)

    def _computed(self, name: str) -> Sequence[int]:
        zeros = {one: np.zeros(shape, self._numpy(one)) for one, shape in self._shapes.items()}
        return self._engine.compute(zeros)[name].shape

    def _numpy(self, name: str) -> Any:
        tensor = self._engine.inputs.get(name) or self._engine.outputs[name]
        return nptype(self._api, tensor.dtype)

    def set_tensor_address(self, name: str, memory: int) -> bool:
        with self._alone("set_tensor_address"):
            if name not in self._engine.inputs and name not in self._engine.outputs:
                return self._refuse(f"no tensor has the name {name}")
            if memory % 256:
                return self._refuse(f"the address of {name} is not aligned to 256 bytes")
            self._addresses[name] = memory
            return True

    def get_tensor_address(self, name: str) -> int:
        return self._addresses.get(name, 0)

    def execute_async_v3(self, stream_handle: int) -> bool:
        with self._alone("execute_async_v3"):
            engine = self._engine
            if told("fail-run"):
                return self._refuse("the fault that was asked for")
            if self._profile < 0:
                return self._refuse("no optimization profile has been chosen, of several")
            missing = self.infer_shapes()
            if missing:
                return self._refuse(f"the shape of {missing[0]} has not been set")
            for name in (*engine.inputs, *engine.outputs):
                if not self._addresses.get(name):
                    return self._refuse(f"the address of {name} has not been set")
            if not self._memory:
                die("a context runs that has no memory")
            if self._size < self._needs():
                return self._refuse(f"the context has {self._size} bytes of memory and needs {self._needs()}")
            return self._enqueue(stream_handle)

    def _enqueue(self, stream: int) -> bool:
        with _guard:
            # One after the other in one stream is well; from two streams nothing orders them.
            if any(memory == self._memory and other != stream for other, memory in _running.values()):
                die("two runs use the memory of one context at once")
            number = next(_numbers)
            names = (*self._engine.inputs, *self._engine.outputs)
            tensors = {**self._engine.inputs, **self._engine.outputs}
            shapes = {name: tuple(self._shape(name, tensors[name])) for name in names}
            _jobs[number] = _Job(weakref.ref(self), shapes, dict(self._addresses))
            captured = bool(driver.cudart().fake_capturing(stream))
            if not captured:
                _running[number] = (stream, self._memory)
        code = driver.cudart().fake_enqueue(stream, ctypes.cast(_callback, ctypes.c_void_p), number)
        if code > 0:
            with _guard:
                _running.pop(number, None)
                del _jobs[number]
            return self._refuse(f"Cuda Runtime error {code}")
        note("enqueue", profile=self._profile, captured=captured, shapes=shapes)
        return True

    def _compute(self, job: _Job) -> None:
        feeds: dict[str, NDArray[Any]] = {}
        for name in self._engine.inputs:
            dtype = np.dtype(self._numpy(name))
            size = int(np.prod(job.shapes[name])) * dtype.itemsize
            _check(name, job.addresses[name], size)
            raw = ctypes.string_at(job.addresses[name], size)
            feeds[name] = np.frombuffer(raw, dtype).reshape(job.shapes[name])
        for name, values in self._engine.compute(feeds).items():
            result = np.ascontiguousarray(values, self._numpy(name))
            if tuple(result.shape) != job.shapes[name]:
                raise RuntimeError(f"{name} has the shape {result.shape}, not {job.shapes[name]}")
            if told("wrong-answers"):
                result = result + result.dtype.type(1)
            if told("nan"):
                result = np.full_like(result, np.nan)
            _check(name, job.addresses[name], result.nbytes)
            ctypes.memmove(job.addresses[name], result.ctypes.data, result.nbytes)
        note("run", shapes=job.shapes)


def _check(name: str, address: int, size: int) -> None:
    if not driver.cudart().fake_holds(address, size):
        raise RuntimeError(f"the {size} bytes of {name} at {address:#x} are not memory of the GPU")
