"""Checking a bundle where it is: every hash, then the golden self-test of every artifact that runs here."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace

from edgebert.bundle import Bundle, open_bundle
from edgebert.devices import describe_machine, find_runtimes
from edgebert.errors import BackendError, PlanError
from edgebert.runtime.bigger import stages
from edgebert.runtime.engines import build_engine
from edgebert.runtime.explanation import CANNOT_RUN, FAILED, NO_PLAN, cannot_run
from edgebert.runtime.selection import rank
from edgebert.runtime.selftest import self_test

PASSED = "passed"


@dataclass(frozen=True, slots=True)
class Verification:
    """What became of one artifact.

    ``status`` is ``"passed"``, ``"failed"``, ``"cannot run"`` or ``"no plan"`` (this device must build it first);
    ``reason`` says why it did not pass. ``runtime`` is the backend it ran in, ``max_abs_diff`` the largest difference
    from the golden outputs in logits, ``tolerance`` the largest that passes. ``slowdown`` says what makes a right
    artifact slower here than its backend is elsewhere; empty when nothing is known to.
    """

    artifact: str
    status: str
    reason: str
    runtime: str | None
    max_abs_diff: float | None
    tolerance: float
    slowdown: str = ""


def verify(path: str | os.PathLike[str], *, threads: int | None = None) -> Iterator[Verification]:
    """Check a bundle, then test each artifact with every golden input at every static shape.

    Args:
        path: the bundle's directory.
        threads: compute threads; ``None`` for one per physical core.

    Yields:
        One result per artifact, best first for this machine, as soon as it is known; of a cascade then those of the
        bigger bundle, whose ids begin with its folder.

    Raises:
        BundleError: at the first step: the bundle cannot be read, or a file is missing, altered or foreign.
    """
    bundle = open_bundle(path)
    bundle.verify_all()
    for folder, stage in stages(bundle):
        for result in _verify(stage, threads):
            yield replace(result, artifact=folder + result.artifact)


def _verify(bundle: Bundle, threads: int | None) -> Iterator[Verification]:
    golden = bundle.golden()
    machine = describe_machine()
    for candidate in rank(bundle.manifest, machine, find_runtimes()):
        artifact, runtime = candidate.artifact, candidate.runtime
        if runtime is None:
            yield Verification(artifact.id, CANNOT_RUN, cannot_run(candidate).reason, None, None, artifact.tolerance)
            continue
        name = f"{runtime.distribution} {runtime.version}"
        try:
            files = [bundle.file(ref) for ref in artifact.files]
            engine = build_engine(artifact, files, threads or machine.physical_cores, runtime)
            try:
                result = self_test(engine, golden, artifact.tolerance)
            finally:
                engine.close()
        except PlanError as error:
            yield Verification(artifact.id, NO_PLAN, error.message, name, None, artifact.tolerance)
        except BackendError as error:
            yield Verification(artifact.id, FAILED, error.message, name, None, artifact.tolerance)
        else:
            slowdown = engine.facts.slowdown
            yield Verification(artifact.id, PASSED, "", name, result.max_abs_diff, artifact.tolerance, slowdown)
