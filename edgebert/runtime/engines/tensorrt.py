"""TensorRT on an NVIDIA GPU: runs the plan that this device has built of an artifact."""

from __future__ import annotations

import contextlib
import json
import os
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgebert.bundle.recipe import Recipe
from edgebert.bundle.schema import Artifact, Shapes
from edgebert.devices.backends import Runtime
from edgebert.errors import BackendError, PlanError
from edgebert.runtime.engines.base import (
    EngineFacts,
    Execution,
    Kernel,
    Operator,
    Tensors,
    cast_inputs,
    count_operators,
)
from edgebert.runtime.nvidia import api
from edgebert.runtime.nvidia.cudart import OUT_OF_MEMORY, CudaError
from edgebert.runtime.nvidia.host import Host, open_host
from edgebert.runtime.nvidia.lane import Lane, Plan
from edgebert.runtime.nvidia.log import make_log, refusal
from edgebert.runtime.plans import PlanCache, artifact_digest, read_recipe, recipe_digest

GRAPHS = "EDGEBERT_CUDA_GRAPHS"
"""The environment variable that keeps an engine from using CUDA graphs, if it is ``0``."""

_MOST_LANES = 4
"""More contexts at a time than this do not make a GPU of this size faster, and each has memory of its own."""

_DTYPES = {"FLOAT": np.float32, "HALF": np.float16, "INT32": np.int32, "INT64": np.int64}
_REFUSED_HINT = "Build the plan again: `edgebert build-plan --force` with the bundle."


class TensorRtEngine:
    """A plan in TensorRT, on the first GPU that ``CUDA_VISIBLE_DEVICES`` leaves.

    An execution context is not thread-safe: each thread that runs has one to itself, up to four at a time; others wait.
    Nothing of TensorRT is made before the driver has answered and a plan with exactly the right key was found.
    """

    def __init__(self, artifact: Artifact, files: list[Path], threads: int, runtime: Runtime) -> None:
        recipe = read_recipe(files, artifact)
        host = open_host(runtime)
        data = _find_plan(host, artifact, recipe)
        self._artifact = artifact.id
        self._runtime = runtime
        self._host = host
        self._log = make_log(host.tensorrt)
        self._deserializer = host.tensorrt.Runtime(self._log)
        # TensorRT cannot tell beforehand whether a plan fits; it gives nothing back for one that it refuses.
        engine = self._deserializer.deserialize_cuda_engine(data)
        if engine is None:
            raise refusal(self._log, f"{host.version} refuses the plan of {artifact.id}")
        inputs, outputs = _tensors(host.tensorrt, engine)
        self._plan = Plan(host.tensorrt, engine, self._log, inputs, outputs, api.context_memory(engine))
        self._profiles = {bucket: index for index, bucket in enumerate(artifact.shapes.buckets)}
        self._graphs = os.environ.get(GRAPHS) != "0"
        self._idle = threading.Condition()
        self._free: list[Lane] = []
        self._lanes: list[Lane] = []
        self._most = _MOST_LANES
        self.shapes: Shapes = artifact.shapes

    @property
    def facts(self) -> EngineFacts:
        """What really runs."""
        host = self._host
        capability = ".".join(map(str, host.compute_capability))
        return EngineFacts(
            artifact=self._artifact,
            backend="tensorrt",
            distribution=self._runtime.distribution,
            version=host.version,
            threads=1,
            device=f"GPU {host.gpu}",
            details={
                "compute capability": capability,
                "CUDA": f"{host.cuda.version} (driver {host.cuda_driver})",
                "CUDA graphs": self._graph_state(),
            },
        )

    def run(self, inputs: Tensors) -> dict[str, NDArray[Any]]:
        """See :meth:`edgebert.runtime.engines.base.Engine.run`."""
        feeds = self._feeds(inputs)
        profile = self._profiles[feeds["input_ids"].shape[1]]
        while True:
            with self.lane() as lane:
                try:
                    return lane.run(profile, feeds)
                except CudaError as error:
                    # Those that have their memory must do: slower, but no error.
                    if error.number != OUT_OF_MEMORY or not self._retire(lane):
                        raise

    @contextlib.contextmanager
    def lane(self) -> Iterator[Lane]:
        """A lane for this thread alone: an idle one, else a new one, else the next that becomes idle."""
        lane = self._take()
        try:
            yield lane
        finally:
            with self._idle:
                if lane in self._lanes:  # else it has been retired
                    self._free.append(lane)
                    self._idle.notify()

    def execution(self, inputs: Tensors) -> Execution:
        """See :meth:`edgebert.runtime.engines.base.ArtifactEngine.execution`.

        TensorRT's ``EngineInspector`` tells of the layers of the plan, which are groups of the graph's operators, for
        the profile of these inputs.
        """
        feeds = self._feeds(inputs)
        with self.lane() as lane:
            _, context = lane.slot(self._profiles[feeds["input_ids"].shape[1]], feeds)
            inspector = self._plan.engine.create_engine_inspector()
            inspector.execution_context = context
            text = inspector.get_engine_information(self._host.tensorrt.LayerInformationFormat.JSON)
        try:
            layers = json.loads(text)["Layers"]
            tactics = Counter(tactic for layer in layers if (tactic := _tactic(layer)))
            kernels = tuple(Kernel(count, name) for name, count in tactics.most_common())
            return Execution(count_operators(map(_operator, layers)), kernels)
        except (ValueError, KeyError, TypeError) as error:
            raise BackendError(
                f"TensorRT {self._host.version} does not tell what it executes: {error!r}.", hint=_REFUSED_HINT
            ) from error

    def close(self) -> None:
        """See :meth:`edgebert.runtime.engines.base.Engine.close`."""
        for lane in self._lanes:
            # After a failure that CUDA does not recover from, nothing can be given back; the end of the process does.
            with contextlib.suppress(CudaError):
                lane.close()
        self._lanes.clear()
        self._free.clear()
        # In the order in which they need each other.
        del self._plan, self._deserializer

    def _feeds(self, inputs: Tensors) -> dict[str, NDArray[Any]]:
        feeds = cast_inputs(inputs, self._plan.inputs, self._artifact)
        shape = feeds["input_ids"].shape
        if shape[0] != 1 or shape[1] not in self._profiles:
            raise BackendError(
                f"Artifact {self._artifact} takes one text of {', '.join(map(str, self._profiles))} tokens, "
                f"not a batch of shape {shape}."
            )
        return feeds

    def _take(self) -> Lane:
        with self._idle:
            if not self._free and len(self._lanes) < self._most:
                self._lanes.append(Lane(self._plan, self._host.cuda, graphs=self._graphs))
                return self._lanes[-1]
            self._idle.wait_for(lambda: self._free)
            return self._free.pop()

    def _retire(self, lane: Lane) -> bool:
        """Gives up a lane for which there is no memory, until the next load; false when it is the only one."""
        with self._idle:
            if len(self._lanes) == 1:
                return False
            self._lanes.remove(lane)
            self._most = len(self._lanes)
        lane.close()
        return True

    def _graph_state(self) -> str:
        if not self._graphs:
            return f"off ({GRAPHS}=0)"
        refused = next((lane.refused_graph for lane in self._lanes if lane.refused_graph), "")
        return f"cannot be used: {refused}" if refused else "on"


def _find_plan(host: Host, artifact: Artifact, recipe: Recipe) -> bytes:
    found = PlanCache().find(host.key(artifact_digest(artifact), recipe_digest(recipe)))
    if found.plan is not None:
        return found.plan
    refused = "".join(f"; {refusal}" for refusal in found.refusals)
    raise PlanError(
        f"No plan of {artifact.id} is built on this device for {host.gpu} and TensorRT {host.version}{refused}. "
        "`edgebert build-plan` with the bundle builds it, as does edgebert.load(..., build=True).",
        hint="It takes minutes, once.",
    )


def _tensors(tensorrt: Any, engine: Any) -> tuple[dict[str, np.dtype[Any]], dict[str, np.dtype[Any]]]:  # noqa: ANN401
    """Inputs and outputs of a plan: name -> dtype."""
    inputs: dict[str, np.dtype[Any]] = {}
    outputs: dict[str, np.dtype[Any]] = {}
    for index in range(engine.num_io_tensors):
        name = engine.get_tensor_name(index)
        is_input = engine.get_tensor_mode(name) == tensorrt.TensorIOMode.INPUT
        dtype = engine.get_tensor_dtype(name).name
        if dtype not in _DTYPES:
            raise BackendError(f"The plan has the tensor {name} of type {dtype}.", hint=_REFUSED_HINT)
        (inputs if is_input else outputs)[name] = np.dtype(_DTYPES[dtype])
    return inputs, outputs


def _operator(layer: Mapping[str, Any] | str) -> Operator:
    """A layer as the inspector tells it; a plan that was built without details has names alone."""
    if isinstance(layer, str):
        return Operator(1, layer, "not told", "TensorRT")
    given, made = (
        " x ".join(str(tensor.get("Format/Datatype", "?")) for tensor in layer.get(side, ()))
        for side in ("Inputs", "Outputs")
    )
    return Operator(1, str(layer.get("LayerType", "?")), f"{given} -> {made}", "TensorRT")


def _tactic(layer: Mapping[str, Any] | str) -> str:
    """The kernel that TensorRT has chosen for a layer, by its name; empty where it has none of that kind."""
    return "" if isinstance(layer, str) else str(layer.get("TacticName") or "")
