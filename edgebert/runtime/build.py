"""Making a bundle's TensorRT artifacts ready on this device: each plan is built, and then has to answer."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from edgebert.bundle import Bundle, open_bundle
from edgebert.devices import describe_machine, find_runtimes
from edgebert.errors import BackendError, PlanError, SelectionError, SelfTestError
from edgebert.runtime.bigger import stages
from edgebert.runtime.engines import NEEDS_PLAN, build_engine
from edgebert.runtime.explanation import cannot_run
from edgebert.runtime.nvidia import CudaError
from edgebert.runtime.plans import Fault, PlanCache, PlanKey, Refusal
from edgebert.runtime.plans.build import BuiltPlan, Progress, build_plan
from edgebert.runtime.selection import Candidate, rank
from edgebert.runtime.selftest import SelfTestResult, self_test

_BROKEN = "Build another precision with --artifact; the bundle's ONNX artifacts run meanwhile."


@dataclass(frozen=True, slots=True)
class ReadyPlan:
    """An artifact that is built on this device, and answers as the checkpoint does.

    Attributes:
        artifact: its id; in a bigger bundle of a cascade it begins with the bundle's folder.
        plan: what was built, or was there.
        folder: where the plan is kept.
        self_test: every golden input at every length.
        unused: plans of the same artifact that were built for something else.
        removed: those of them that were removed.
    """

    artifact: str
    plan: BuiltPlan
    folder: str
    self_test: SelfTestResult
    unused: tuple[Refusal, ...]
    removed: tuple[Refusal, ...]


def build_plans(
    path: str | os.PathLike[str],
    *,
    artifacts: Sequence[str] = (),
    force: bool = False,
    prune: bool = False,
    progress: Progress | None = None,
) -> Iterator[ReadyPlan]:
    """Build plans for this device, and test each with every golden input at every length.

    Args:
        path: the bundle's directory.
        artifacts: ids of those to build; empty for the best one that this machine can run, of each bundle of a cascade.
        force: build a plan also when it is there.
        prune: remove the plans of the same artifact that this device cannot use any more.
        progress: is told how far a build is; not by TensorRT 8.6.

    Yields:
        One result per artifact, as soon as it is known.

    Raises:
        BundleError: the bundle cannot be read, or a file is altered.
        SelectionError: there is nothing to build, or this machine cannot run it.
        PlanError: a plan cannot be built, or does not run; then it has been removed.
        SelfTestError: a plan answers wrongly; it has been removed.
        BackendError: TensorRT cannot be used.
        CudaError: CUDA fails, as for too little memory; the plan is kept.
        OutputError: the plan cannot be stored.
    """
    for folder, bundle, candidate in _choose(list(stages(open_bundle(path))), artifacts):
        artifact = candidate.artifact
        assert candidate.runtime is not None
        plan = build_plan(bundle, artifact, candidate.runtime, force=force, progress=progress)
        cache = PlanCache()
        files = [bundle.file(ref) for ref in artifact.files]
        try:
            engine = build_engine(artifact, files, 1, candidate.runtime)
            try:
                tested = self_test(engine, bundle.golden(), artifact.tolerance)
            finally:
                engine.close()
        except (CudaError, PlanError):  # such as too little memory at this moment, which says nothing of the plan
            raise
        except SelfTestError:
            _remove(cache, plan.key)
            raise
        except BackendError as error:
            _remove(cache, plan.key)
            raise PlanError(f"The plan does not run, and has been removed. {error.message}", hint=_BROKEN) from error
        others = cache.others(plan.key)
        removed = tuple(_prune(cache, others)) if prune else ()
        unused = tuple(refusal for refusal in others if refusal not in removed)
        yield ReadyPlan(folder + artifact.id, plan, str(cache.folder), tested, unused, removed)


def _choose(bundles: Sequence[tuple[str, Bundle]], artifacts: Sequence[str]) -> list[tuple[str, Bundle, Candidate]]:
    """What to build, with the folder and the bundle that it is in. All of it can be built, as far as is known."""
    name = bundles[0][1].manifest.name
    built = {
        folder: [artifact.id for artifact in bundle.manifest.artifacts if artifact.backend in NEEDS_PLAN]
        for folder, bundle in bundles
    }
    known = list(dict.fromkeys(artifact for ids in built.values() for artifact in ids))
    if not known:
        raise SelectionError(
            f"{name} has no artifact that is built on a device.",
            hint="Convert with a target that has TensorRT artifacts, such as jetson-orin.",
        )
    for artifact in artifacts:
        if artifact not in known:
            raise SelectionError(
                f"{name} has no artifact {artifact!r} that is built on a device.", hint=f"It has: {', '.join(known)}."
            )
    chosen = []
    for folder, bundle in bundles:
        wanted = [artifact for artifact in built[folder] if not artifacts or artifact in artifacts]
        if wanted:
            chosen += [(folder, bundle, one) for one in _able(bundle, wanted, every=bool(artifacts))]
    return chosen


def _able(bundle: Bundle, wanted: Sequence[str], *, every: bool) -> list[Candidate]:
    """Those of the artifacts that this machine can build: every one, or the best."""
    manifest = bundle.manifest
    ranked = [one for one in rank(manifest, describe_machine(), find_runtimes()) if one.artifact.id in wanted]
    able = [one for one in ranked if one.runtime is not None]
    unable = [one for one in ranked if one.runtime is None]
    if (every and unable) or not able:
        reasons = "".join(f"\n  {one.artifact.id}: {cannot_run(one).reason}" for one in unable)
        raise SelectionError(
            f"This machine cannot build a plan of {manifest.name}:{reasons}\n", hint="`edgebert doctor` tells more."
        )
    return able if every else able[:1]


def _remove(cache: PlanCache, key: PlanKey) -> None:
    for entry in cache.entries():
        if entry.key == key:
            cache.remove(entry)


def _prune(cache: PlanCache, refusals: Sequence[Refusal]) -> Iterator[Refusal]:
    entries = {entry.path: entry for entry in cache.entries()}
    for refusal in refusals:
        # A foreign one may be of use to another GPU.
        if refusal.fault is not Fault.FOREIGN and refusal.path in entries:
            cache.remove(entries[refusal.path])
            yield refusal
