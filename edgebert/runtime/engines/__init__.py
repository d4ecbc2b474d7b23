"""The backends. Each is one module, imported only when an artifact is opened with it."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import cast

from edgebert.bundle import Bundle
from edgebert.bundle.interrupt import hold_interrupt
from edgebert.bundle.schema import Artifact
from edgebert.devices.backends import Runtime, find_runtimes
from edgebert.devices.machine import describe_machine
from edgebert.errors import BackendError, EdgebertError
from edgebert.runtime.engines.base import Engine, EngineFactory, EngineFacts

__all__ = ["ENGINES", "Engine", "EngineFacts", "build_engine", "open_engine"]

ENGINES = {
    "onnx": "edgebert.runtime.engines.onnx:OnnxEngine",
    "openvino": "edgebert.runtime.engines.openvino:OpenVinoEngine",
    "tflite": "edgebert.runtime.engines.tflite:TfliteEngine",
}


def build_engine(artifact: Artifact, files: list[Path], threads: int, runtime: Runtime) -> Engine:
    """Open the files of an artifact, wherever they are.

    Args:
        artifact: what the files are.
        files: every file of the artifact.
        threads: compute threads, at least 1.
        runtime: the installed backend to open them with.

    Raises:
        BackendError: there is no engine for the backend, it cannot be imported, or it refuses the files.
    """
    if artifact.backend not in ENGINES:
        raise BackendError(
            f"EdgeBERT has no engine for {artifact.backend}, which artifact {artifact.id} needs.",
            hint=f"It runs {', '.join(ENGINES)}.",
        )
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


def open_engine(artifact: Artifact, bundle: Bundle, *, threads: int | None, distribution: str | None) -> Engine:
    """Open an artifact of a bundle, after checking the hashes of its files.

    Args:
        artifact: one of ``bundle.manifest.artifacts``.
        bundle: the bundle that holds it.
        threads: compute threads; ``None`` for one per physical core.
        distribution: the installed distribution to use; ``None`` for the first usable one.

    Raises:
        BackendError: no such backend is usable on this machine, or it refuses the files.
        IntegrityError: a file is not what the manifest says.
    """
    runtimes = [r for r in find_runtimes(artifact.backend) if distribution in (None, r.distribution)]
    runtime = next((r for r in runtimes if r.problem is None), None)
    if runtime is None:
        wanted = distribution or artifact.backend
        problem = runtimes[0].problem if runtimes else "EdgeBERT does not know it"
        install = runtimes[0].install if runtimes else ""
        raise BackendError(f"{wanted} cannot run artifact {artifact.id}: {problem}.", hint=install)
    bundle.verify(artifact.files)
    files = [bundle.file(ref) for ref in artifact.files]
    return build_engine(artifact, files, threads or describe_machine().physical_cores, runtime)
