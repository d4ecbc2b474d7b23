"""The backends. Each is one module, imported only when an artifact is opened with it."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import cast

from edgebert.bundle.interrupt import hold_interrupt
from edgebert.bundle.schema import Artifact
from edgebert.devices.backends import Runtime
from edgebert.errors import BackendError, EdgebertError
from edgebert.runtime.engines.base import (
    ArtifactEngine,
    Engine,
    EngineFactory,
    EngineFacts,
    Execution,
    Kernel,
    Operator,
)

__all__ = [
    "ENGINES",
    "NEEDS_PLAN",
    "ArtifactEngine",
    "Engine",
    "EngineFacts",
    "Execution",
    "Kernel",
    "Operator",
    "build_engine",
]

ENGINES = {
    "onnx": "edgebert.runtime.engines.onnx:OnnxEngine",
    "openvino": "edgebert.runtime.engines.openvino:OpenVinoEngine",
    "tflite": "edgebert.runtime.engines.tflite:TfliteEngine",
    "tensorrt": "edgebert.runtime.engines.tensorrt:TensorRtEngine",
}

NEEDS_PLAN = ("tensorrt",)
"""The backends whose artifacts are built on the device before they run."""


def build_engine(artifact: Artifact, files: list[Path], threads: int, runtime: Runtime) -> ArtifactEngine:
    """Open the files of an artifact, wherever they are.

    Args:
        artifact: what the files are.
        files: every file of the artifact.
        threads: compute threads, at least 1.
        runtime: the installed backend to open them with.

    Raises:
        BackendError: the backend cannot be imported, or it refuses the files.
        PlanError: the files must be built on this device first.
    """
    module, name = ENGINES[artifact.backend].split(":")
    try:
        with hold_interrupt():
            factory = cast("EngineFactory", getattr(import_module(module), name))
        return factory(artifact, files, threads, runtime)
    except EdgebertError:
        raise
    except Exception as error:  # each backend has exception types of its own, and none may be imported here
        raise BackendError(
            f"Artifact {artifact.id} cannot be opened with {runtime.distribution} {runtime.version}: {error}",
            hint="Run `edgebert doctor` to see which backends work on this machine.",
        ) from error
