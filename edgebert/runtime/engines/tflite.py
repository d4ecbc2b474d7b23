"""TensorFlow Lite (LiteRT) on the CPU."""

from __future__ import annotations

import threading
import warnings
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgebert.bundle.interrupt import hold_interrupt
from edgebert.bundle.schema import Artifact, Shapes
from edgebert.devices.backends import Runtime
from edgebert.errors import BackendError
from edgebert.runtime.engines.base import EngineFacts, Execution, Tensors, cast_inputs, only_file
from edgebert.runtime.engines.litert_profile import profile_kernels
from edgebert.runtime.engines.tflite_graph import BUILTIN, graph_operators, read_graph, with_graph_first


class TfliteEngine:
    """A ``.tflite`` file with one signature ``length_<n>`` per bucket, each taking ``[1, n]``.

    An interpreter is not thread-safe, so that a lock lets one run through at a time.
    """

    def __init__(self, artifact: Artifact, files: list[Path], threads: int, runtime: Runtime) -> None:
        self._path = only_file(files, ".tflite", artifact.id)
        with hold_interrupt():
            self._module = import_module(runtime.module)
        self._interpreter = self._allocate(threads, model_path=str(self._path))
        signatures = self._interpreter.get_signature_list()
        missing = [f"length_{n}" for n in artifact.shapes.buckets if f"length_{n}" not in signatures]
        if missing:
            raise BackendError(
                f"Artifact {artifact.id} lacks the signatures {', '.join(missing)}; it has {', '.join(signatures)}.",
                hint="Convert the checkpoint again.",
            )
        self._runners = {n: self._interpreter.get_signature_runner(f"length_{n}") for n in artifact.shapes.buckets}
        self._dtypes = {
            name: np.dtype(detail["dtype"])
            for name, detail in self._runners[artifact.shapes.buckets[0]].get_input_details().items()
        }
        self._lock = threading.Lock()
        xnnpack, slowdown = self._xnnpack()
        self.shapes: Shapes = artifact.shapes
        self.facts = EngineFacts(
            artifact=artifact.id,
            backend="tflite",
            distribution=runtime.distribution,
            version=str(runtime.version),
            threads=threads,
            device="CPU",
            details={"XNNPACK": xnnpack},
            slowdown=slowdown,
        )

    def run(self, inputs: Tensors) -> dict[str, NDArray[Any]]:
        """See :meth:`edgebert.runtime.engines.base.Engine.run`."""
        feeds = cast_inputs(inputs, self._dtypes, self.facts.artifact)
        shape = feeds["input_ids"].shape
        if shape[0] != 1 or shape[1] not in self._runners:
            raise BackendError(
                f"Artifact {self.facts.artifact} takes one text of {', '.join(map(str, self._runners))} tokens, "
                f"not a batch of shape {shape}."
            )
        with self._lock:
            return dict(self._runners[shape[1]](**feeds))

    def execution(self, inputs: Tensors) -> Execution:
        """See :meth:`edgebert.runtime.engines.base.ArtifactEngine.execution`.

        An interpreter tells of its first graph alone. That of another bucket is put first in a copy of the file in
        memory, which is opened in the same way. The kernels come from :mod:`edgebert.runtime.engines.litert_profile`.
        """
        signature = f"length_{inputs['input_ids'].shape[1]}"
        try:
            interpreter = self._interpreter
            if place := interpreter._interpreter.GetSubgraphIndexFromSignature(signature):
                copy = with_graph_first(self._path.read_bytes(), place)
                interpreter = self._allocate(self.facts.threads, model_content=copy)
            operators = graph_operators(interpreter)
        except Exception as error:  # private calls: other releases may lack them, or give other things
            raise BackendError(
                f"{self.facts.distribution} {self.facts.version} does not tell what it executes: {error}",
                hint="Install ai-edge-litert 2.3, whose calls are known, to list operators.",
            ) from error
        if all(one.executed_by == BUILTIN for one in operators):
            return Execution(operators)
        try:
            return Execution(operators, profile_kernels(self._path, signature, operators))
        except ValueError as error:
            return Execution(operators, untold=f"the kernels of XNNPACK: {error}")

    def close(self) -> None:
        """See :meth:`edgebert.runtime.engines.base.Engine.close`."""
        self._runners.clear()
        del self._interpreter

    def _allocate(self, threads: int, **model: str | bytes) -> Any:  # noqa: ANN401 (a class of one of two modules)
        with warnings.catch_warnings():
            # tf.lite's deprecation notice, raised by older runtimes too.
            warnings.simplefilter("ignore")
            interpreter = self._module.Interpreter(num_threads=threads, **model)
        interpreter.allocate_tensors()  # delegates are applied here
        return interpreter

    def _xnnpack(self) -> tuple[str, str]:
        """What XNNPACK does, and what that costs, from the first graph: the fact, and the slowdown."""
        try:
            graph = read_graph(self._interpreter)
        except Exception:  # private calls: any failure means that it cannot be told
            return "unknown", ""
        return graph.state(), graph.slowdown()
