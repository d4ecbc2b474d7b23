"""What the artifacts of a bundle execute on this machine, operator by operator."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from edgebert.bundle import open_bundle
from edgebert.bundle.schema import TaskFormat
from edgebert.devices import Machine, describe_machine, find_runtimes
from edgebert.errors import BackendError, InputError, PlanError
from edgebert.runtime.engines import Execution, build_engine
from edgebert.runtime.engines.base import plain_inputs
from edgebert.runtime.explanation import CANNOT_RUN, FAILED, NO_PLAN, cannot_run
from edgebert.runtime.selection import Candidate, rank
from edgebert.runtime.shapes import bucket_for

LISTED = "listed"
LENGTH = 32
"""In tokens, where nobody asks for another: about that of a sentence."""


@dataclass(frozen=True, slots=True)
class Listing:
    """The operators of one artifact.

    ``status`` is ``"listed"``, ``"failed"`` or ``"cannot run"``; ``reason`` says why they are not listed. ``runtime``
    is the backend that tells, ``details`` what else it says of itself, ``length`` that of the input in tokens, and
    ``execution`` what it tells.
    """

    artifact: str
    status: str
    reason: str = ""
    runtime: str | None = None
    details: str = ""
    length: int | None = None
    execution: Execution | None = None


def list_operators(
    path: str | os.PathLike[str], *, artifact: str | None = None, length: int | None = None
) -> Iterator[Listing]:
    """Open each artifact that runs here, and ask its backend what it executes for an input of one text.

    Args:
        path: the bundle's directory.
        artifact: only the artifact with this id.
        length: of the input in tokens, rounded up to the next bucket where the artifact has buckets; ``None`` for
            :data:`LENGTH`, or the longest input if that is shorter.

    Yields:
        One listing per artifact, best first for this machine, as soon as it is known.

    Raises:
        BundleError: the bundle cannot be read, or a file is missing or altered.
        SelectionError: the bundle has no such artifact.
        InputError: ``length`` is below 1 or above what the bundle takes.
        OutputError: a backend needs a temporary file that cannot be written.
    """
    bundle = open_bundle(path)
    manifest = bundle.manifest
    limit = manifest.tokenizer.max_length
    if length is not None and not 1 <= length <= limit:
        raise InputError(
            f"A length of {length} tokens is not allowed by {manifest.name}.", hint=f"Use a length from 1 to {limit}."
        )
    machine = describe_machine()
    for candidate in rank(manifest, machine, find_runtimes(), artifact=artifact):
        files = candidate.artifact.files
        if candidate.runtime is not None:
            bundle.verify(files)
        yield _list(candidate, [bundle.file(ref) for ref in files], machine, manifest.task.format, length)


def _list(candidate: Candidate, files: list[Path], machine: Machine, task: TaskFormat, length: int | None) -> Listing:
    artifact, runtime = candidate.artifact, candidate.runtime
    if runtime is None:
        return Listing(artifact.id, CANNOT_RUN, cannot_run(candidate).reason)
    shapes = artifact.shapes
    length = min(length or LENGTH, shapes.max_length)
    if shapes.policy == "buckets":
        length = bucket_for(length, shapes.buckets)
    name = f"{runtime.distribution} {runtime.version}"
    try:
        engine = build_engine(artifact, files, machine.physical_cores, runtime)
        try:
            execution = engine.execution(plain_inputs(task, length))
        finally:
            engine.close()
    except PlanError as error:
        return Listing(artifact.id, NO_PLAN, error.message, name, length=length)
    except BackendError as error:
        return Listing(artifact.id, FAILED, error.message, name, length=length)
    details = ", ".join(f"{key} {value}" for key, value in engine.facts.details.items())
    return Listing(artifact.id, LISTED, "", name, details, length, execution)
