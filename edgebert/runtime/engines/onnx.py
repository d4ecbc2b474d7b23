"""ONNX Runtime on the CPU."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from edgebert.bundle.schema import Artifact, Shapes
from edgebert.devices.backends import Runtime
from edgebert.errors import BackendError, OutputError
from edgebert.runtime.engines.base import (
    EngineFacts,
    Execution,
    Operator,
    Tensors,
    cast_inputs,
    count_operators,
    only_file,
)

_PROVIDER = "CPUExecutionProvider"
_KERNEL = "_kernel_time"
"""The end of the name of an event that is a kernel's run."""
_DTYPES: dict[str, np.dtype[Any]] = {"tensor(int32)": np.dtype(np.int32), "tensor(int64)": np.dtype(np.int64)}


class OnnxEngine:
    """An ONNX graph in ONNX Runtime.

    The session has one pool of ``threads`` threads (the calling thread is one of them) and runs one operator at a
    time. The pool's threads spin for a short while after each operator, which is ONNX Runtime's default and its
    fastest setting, but not after the last one of a run: they would take the cores from the next text's tokenizer,
    from other models of the process and from a cascade's bigger model. ``InferenceSession.run`` is thread-safe.
    """

    def __init__(self, artifact: Artifact, files: list[Path], threads: int, runtime: Runtime) -> None:
        # Official builds send usage events unless told not to: those for Windows, since 1.31 those for Linux too.
        onnxruntime.disable_telemetry_events()
        path = only_file(files, ".onnx", artifact.id)
        if not _is_utf8(path):
            raise BackendError(
                f"ONNX Runtime cannot open {str(path)!a}, whose name is not UTF-8.",
                hint="Move the bundle to a folder with a UTF-8 name.",
            )
        self._path = path
        self._session = onnxruntime.InferenceSession(str(path), _options(threads), providers=[_PROVIDER])
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

    def execution(self, inputs: Tensors) -> Execution:
        """See :meth:`edgebert.runtime.engines.base.ArtifactEngine.execution`.

        ONNX Runtime tells in the profile of a run, which it writes to a file and which a session must be opened for.
        """
        feeds = cast_inputs(inputs, self._dtypes, self.facts.artifact)
        options = _options(self.facts.threads)
        options.enable_profiling = True
        try:
            with tempfile.TemporaryDirectory(prefix="edgebert-") as folder:
                options.profile_file_prefix = str(Path(folder) / "profile")
                session = onnxruntime.InferenceSession(str(self._path), options, providers=[_PROVIDER])
                session.run(self._outputs, feeds)
                events = json.loads(Path(session.end_profiling()).read_bytes())
        except (OSError, ValueError) as error:  # a profile that is cut short is no JSON
            raise OutputError(
                f"The profile of ONNX Runtime cannot be written to a temporary folder: {error}",
                hint="Set TMPDIR to a folder with free space that you can write to.",
            ) from error
        except Exception as error:  # exception types of its own
            raise BackendError(
                f"{self.facts.distribution} {self.facts.version} cannot profile artifact {self.facts.artifact}: "
                f"{error}",
                hint="Run `edgebert verify` on the bundle.",
            ) from error
        ran = (_operator(event["args"]) for event in events if event["name"].endswith(_KERNEL))
        return Execution(count_operators(ran))

    def close(self) -> None:
        """See :meth:`edgebert.runtime.engines.base.Engine.close`."""
        del self._session


def _options(threads: int) -> onnxruntime.SessionOptions:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.add_session_config_entry("session.force_spinning_stop", "1")
    # Errors arrive as exceptions; below "fatal" they would be printed to stderr as well.
    options.log_severity_level = 4
    return options


def _operator(told: Mapping[str, Any]) -> Operator:
    """The operator of a profile's event; each of its types maps a data type to a shape."""
    given, made = (
        " x ".join(dtype for tensor in told[f"{side}_type_shape"] for dtype in tensor) for side in ("input", "output")
    )
    return Operator(1, told["op_name"], f"{given} -> {made}", told["provider"])


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
