"""ONNX Runtime on the CPU."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from edgebert.bundle.schema import Artifact, Shapes
from edgebert.devices.backends import Runtime
from edgebert.errors import BackendError
from edgebert.runtime.engines.base import EngineFacts, Tensors, cast_inputs, only_file

_PROVIDER = "CPUExecutionProvider"
_DTYPES: dict[str, np.dtype[Any]] = {"tensor(int32)": np.dtype(np.int32), "tensor(int64)": np.dtype(np.int64)}


class OnnxEngine:
    """An ONNX graph in ONNX Runtime.

    The session has one pool of ``threads`` threads (the calling thread is one of them) and runs one operator at a
    time. The pool's threads spin for a short while after each operator, which is ONNX Runtime's default and its
    fastest setting: a model that is in use keeps ``threads`` cores busy. ``InferenceSession.run`` is thread-safe.
    """

    def __init__(self, artifact: Artifact, files: list[Path], threads: int, runtime: Runtime) -> None:
        # Official builds send usage events unless told not to: those for Windows, since 1.31 those for Linux too.
        onnxruntime.disable_telemetry_events()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
        # Errors arrive as exceptions; below "fatal" they would be printed to stderr as well.
        options.log_severity_level = 4
        path = only_file(files, ".onnx", artifact.id)
        if not _is_utf8(path):
            raise BackendError(
                f"ONNX Runtime cannot open {str(path)!a}, whose name is not UTF-8.",
                hint="Move the bundle to a folder with a UTF-8 name.",
            )
        self._session = onnxruntime.InferenceSession(str(path), options, providers=[_PROVIDER])
        providers = self._session.get_providers()
        if providers != [_PROVIDER]:
            raise BackendError(
                f"ONNX Runtime opened artifact {artifact.id} on {', '.join(providers)} instead of {_PROVIDER}.",
                hint=f"Install ONNX Runtime again: {runtime.install}",
            )
        self._dtypes = {spec.name: _dtype(spec, artifact.id) for spec in self._session.get_inputs()}
        self._outputs = [spec.name for spec in self._session.get_outputs()]
        self.shapes: Shapes = artifact.shapes
        self.facts = EngineFacts(
            artifact=artifact.id,
            backend="onnx",
            distribution=runtime.distribution,
            version=onnxruntime.__version__,
            threads=threads,
            device="CPU",
            details={"providers": ", ".join(providers)},
        )

    def run(self, inputs: Tensors) -> dict[str, NDArray[Any]]:
        """See :meth:`edgebert.runtime.engines.base.Engine.run`."""
        feeds = cast_inputs(inputs, self._dtypes, self.facts.artifact)
        return dict(zip(self._outputs, self._session.run(self._outputs, feeds), strict=True))

    def close(self) -> None:
        """See :meth:`edgebert.runtime.engines.base.Engine.close`."""
        del self._session


def _is_utf8(path: Path) -> bool:
    try:
        str(path).encode()
    except UnicodeEncodeError:
        return False
    return True


def _dtype(spec: onnxruntime.NodeArg, artifact: str) -> np.dtype[Any]:
    if spec.type not in _DTYPES:
        raise BackendError(
            f"Input {spec.name} of artifact {artifact} is {spec.type}; it must be one of {', '.join(_DTYPES)}.",
            hint="Convert the checkpoint again.",
        )
    return _DTYPES[spec.type]
