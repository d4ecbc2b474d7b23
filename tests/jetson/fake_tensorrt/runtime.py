"""``Runtime``, ``ICudaEngine`` and ``EngineInspector``."""

from __future__ import annotations

import json
import os
import threading
from typing import Any

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray

from tests.jetson.fake_tensorrt import driver
from tests.jetson.fake_tensorrt.builder import HostMemory
from tests.jetson.fake_tensorrt.context import Context
from tests.jetson.fake_tensorrt.events import die, note, told
from tests.jetson.fake_tensorrt.network import Network, Tensor, make_dims
from tests.jetson.fake_tensorrt.plan import PlanHeader, load_plan
from tests.jetson.fake_tensorrt.strict import Api, complain

_ACTIVATION_BYTES = 4096
"""Of a token, in the memory of a context."""


class Runtime:
    """``Runtime``. Without a driver it ends the process."""

    def __init__(self, api: Api, logger: Any) -> None:
        note("Runtime")
        code = driver.problem()
        if code:
            # 8.6 crashes at once. 10.15 and 11.4 say so to the logger, and crash when the object is used or freed.
            complain(
                logger, "ERROR", f"createInferRuntime: Error Code 6: CUDA initialization failure with error: {code}"
            )
            die("a Runtime was made without a driver")
        self._api = api
        self.logger = logger
        self.error_recorder: Any = None
        self.max_threads = 0
        self.engine_host_code_allowed = False
        self.DLA_core = self.num_DLA_cores = 0

    def deserialize_cuda_engine(self, serialized_engine: Any) -> Any:
        fake = getattr(serialized_engine, "_fake", None)
        data = bytes(serialized_engine) if fake is None else fake.data
        problem = self._problem(data)
        note("deserialize", bytes=len(data), error=problem)
        if problem is not None:
            complain(self.logger, "ERROR", problem)
            return None
        header, model = load_plan(data)
        engine = Engine(self._api, self.logger, header, model, data)
        if not engine.weights.address:
            complain(self.logger, "ERROR", "2: [defaultAllocator.cpp] Error Code 1: Cuda Runtime (out of memory)")
            return None
        return self._api.show("ICudaEngine", engine)

    def _problem(self, data: bytes) -> str | None:
        if told("deserialize-none"):
            return (
                "4: [runtime.cpp::deserializeCudaEngine] Error Code 4: Internal Error (Engine deserialization failed.)"
            )
        try:
            header, _ = load_plan(data)
        except ValueError as error:
            return f"1: [runtime.cpp::parsePlan] Error Code 1: Serialization (Serialization assertion failed: {error})"
        if header.version != self._api.version:
            return (
                "6: The engine plan file is not compatible with this version of TensorRT, expecting library version "
                f"{self._api.version} got {header.version}, please rebuild."
            )
        gpu, capability = driver.gpu()
        if header.capability != list(capability):
            return (
                "6: The engine plan file is generated on an incompatible device, expecting compute "
                f"{'.'.join(map(str, capability))} got compute {'.'.join(map(str, header.capability))}, please rebuild."
            )
        if header.gpu != gpu:  # the real one only warns
            complain(
                self.logger,
                "WARNING",
                "Using an engine plan file across different models of devices is not recommended",
            )
        return None


class Engine:
    """``ICudaEngine``. Its weights take memory of the GPU until it is freed."""

    def __init__(self, api: Api, logger: Any, header: PlanHeader, model: bytes, data: bytes) -> None:
        self._api = api
        self.logger = logger
        self.header = header
        self._data = data
        self._model = model
        self._session: onnxruntime.InferenceSession | None = None
        self._lock = threading.Lock()
        self.weights = driver.DeviceMemory(len(model))
        network = Network(api, None, 1)
        network.fill(onnx.load_from_string(model))
        self.inputs = {one.name: one for one in network.inputs}
        self.outputs = {one.name: one for one in network.outputs}
        self.model = network.model
        self.profiles = header.profiles or [{}]
        self.users: dict[int, int] = {}  # profile -> contexts that have chosen it
        self.name = network.name
        self.num_layers = len(header.layers)
        self.error_recorder: Any = None
        self.refittable = False
        self.num_aux_streams = 0
        self.has_implicit_batch_dimension = False

    def __del__(self) -> None:
        self.weights.free()

    @property
    def num_io_tensors(self) -> int:
        return len(self.inputs) + len(self.outputs)

    @property
    def num_optimization_profiles(self) -> int:
        return len(self.profiles)

    @property
    def profiling_verbosity(self) -> Any:
        return self._api.enum("ProfilingVerbosity", self.header.verbosity)

    @property
    def device_memory_size(self) -> int:
        return max(self.bytes_for(index) for index in range(len(self.profiles)))

    device_memory_size_v2 = device_memory_size

    def bytes_for(self, profile: int) -> int:
        """Memory of a context that runs a profile."""
        most = max((int(np.prod(shapes[2])) for shapes in self.profiles[profile].values()), default=1)
        return most * _ACTIVATION_BYTES

    def get_device_memory_size_for_profile(self, profile_index: int) -> int:
        return self.bytes_for(profile_index) if 0 <= profile_index < len(self.profiles) else 0

    get_device_memory_size_for_profile_v2 = get_device_memory_size_for_profile

    def _tensor(self, name: str) -> Tensor | None:
        found = self.inputs.get(name) or self.outputs.get(name)
        if found is None:
            complain(self.logger, "ERROR", f"3: [engine.cpp] Error Code 3: no tensor has the name {name}")
        return found

    def __getitem__(self, index: Any) -> str:
        return self.get_tensor_name(index)

    def get_tensor_name(self, index: int) -> str:
        names = [*self.inputs, *self.outputs]
        if not 0 <= index < len(names):
            complain(self.logger, "ERROR", f"3: [engine.cpp] Error Code 3: index {index} of {len(names)} tensors")
            return ""
        return names[index]

    def get_tensor_mode(self, name: str) -> Any:
        mode = "INPUT" if name in self.inputs else "OUTPUT" if name in self.outputs else "NONE"
        return self._api.enum("TensorIOMode", mode)

    def get_tensor_dtype(self, name: str) -> Any:
        found = self._tensor(name)
        return self._api.enum("DataType", "FLOAT") if found is None else found.dtype

    def get_tensor_shape(self, name: str) -> Any:
        found = self._tensor(name)
        return make_dims(self._api, [] if found is None else found.sizes)

    def get_tensor_location(self, name: str) -> Any:
        return self._api.enum("TensorLocation", "DEVICE")

    def get_tensor_format(self, name: str, profile_index: int = 0) -> Any:
        return self._api.enum("TensorFormat", "LINEAR")

    def is_shape_inference_io(self, name: str) -> bool:
        return False

    def get_tensor_profile_shape(self, name: str, profile_index: int) -> list[Any]:
        if name not in self.inputs or not 0 <= profile_index < len(self.profiles):
            raise RuntimeError("Optimization profile dimensions could not be found")
        shapes = self.profiles[profile_index].get(name) or [self.inputs[name].sizes] * 3
        return [make_dims(self._api, shape) for shape in shapes]

    def create_engine_inspector(self) -> Any:
        return self._api.show("EngineInspector", Inspector(self._api, self))

    def serialize(self) -> Any:
        return self._api.show("IHostMemory", HostMemory(self._api, self._data))

    def create_execution_context(self, strategy: Any = None, runtime_config: Any = None) -> Any:
        name = "STATIC" if strategy is None else strategy.name
        if runtime_config is not None:
            raise NotImplementedError("the fake TensorRT does not do create_execution_context(runtime_config)")
        return self._context(name)

    def create_execution_context_without_device_memory(self) -> Any:
        return self._context("USER_MANAGED")

    def _context(self, strategy: str) -> Any:
        note("create_execution_context", strategy=strategy)
        size = self.device_memory_size
        memory = None if strategy == "USER_MANAGED" else driver.DeviceMemory(size)
        if told("oom-context") or (memory is not None and not memory.address):
            text = f"(Requested size was {size} bytes.)"
            complain(
                self.logger, "ERROR", f"2: [executionContext.cpp::ExecutionContext] Error Code 2: OutOfMemory {text}"
            )
            return None
        return self._api.show("IExecutionContext", Context(self._api, self, memory))

    def compute(self, feeds: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """The right answers."""
        with self._lock:
            if self._session is None:
                options = onnxruntime.SessionOptions()
                options.intra_op_num_threads = 1
                options.log_severity_level = 3
                self._session = onnxruntime.InferenceSession(self._model, options, providers=["CPUExecutionProvider"])
        return dict(zip(self.outputs, self._session.run(list(self.outputs), feeds), strict=True))


class Inspector:
    """``EngineInspector``."""

    def __init__(self, api: Api, engine: Engine) -> None:
        self._api = api
        self._engine = engine
        self.execution_context: Any = None
        self.error_recorder: Any = None

    def _layers(self) -> list[Any]:
        verbosity, layers = self._engine.header.verbosity, self._engine.header.layers
        if verbosity == "NONE":
            return []
        return layers if verbosity == "DETAILED" else [layer["Name"] for layer in layers]

    def get_engine_information(self, format: Any) -> str:
        bindings = [*self._engine.inputs, *self._engine.outputs]
        if format.name == "JSON":
            return json.dumps({"Layers": self._layers(), "Bindings": bindings}, indent=1)
        return os.linesep.join(["Layers:", *map(str, self._layers()), "Bindings:", *bindings])

    def get_layer_information(self, layer_index: int, format: Any) -> str:
        layers = self._layers()
        if not 0 <= layer_index < len(layers):
            return ""
        return json.dumps(layers[layer_index]) if format.name == "JSON" else str(layers[layer_index])


CLASSES: dict[str, Any] = {"Runtime": Runtime}
