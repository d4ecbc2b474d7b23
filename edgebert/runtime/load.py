"""Opening a bundle: the best artifact that works on this machine."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping
from dataclasses import dataclass

from edgebert.bundle import Bundle, Golden, open_bundle
from edgebert.bundle.schema import Artifact
from edgebert.devices import Machine, describe_machine, find_runtimes
from edgebert.errors import (
    BackendError,
    BackendFallbackWarning,
    InputError,
    IntegrityError,
    OutputError,
    PlanError,
    RankingWarning,
    SelectionError,
    SlowBackendWarning,
)
from edgebert.runtime.bigger import open_bigger
from edgebert.runtime.engines import NEEDS_PLAN, build_engine
from edgebert.runtime.explanation import CHOSEN, FAILED, NO_PLAN, NOT_NEEDED, Explanation, Tuned, Verdict, cannot_run
from edgebert.runtime.guard import GuardedEngine
from edgebert.runtime.model import Model
from edgebert.runtime.ranking_store import Found, find_ranking
from edgebert.runtime.selection import Candidate, Configuration, Measured, rank
from edgebert.runtime.tasks import open_task
from edgebert.runtime.tokenization import TextTokenizer


def load(
    path: str | os.PathLike[str],
    *,
    artifact: str | None = None,
    backend: str | None = None,
    precision: str | None = None,
    threads: int | None = None,
    strict: bool = False,
    build: bool = False,
    tuned: bool = True,
) -> Model:
    """Load a bundle with the best artifact that works on this machine.

    Artifacts are tried in the order that ``edgebert tune`` measured on this machine, with the threads that were best,
    or else in that of the target profile that matches the machine. Each one must have the right
    hashes, open in its backend and pass a golden self-test. One that fails is passed over with a
    :class:`~edgebert.errors.BackendFallbackWarning`. One that cannot run here because something is not installed or
    the CPU lacks a feature is no failure: only :meth:`Model.explain` tells of it. One whose backend runs without its
    fast kernels answers rightly and is chosen, with a :class:`~edgebert.errors.SlowBackendWarning`. A TensorRT artifact
    of which this device has built no plan yet is passed over with a warning that says how to build it.

    Of a cascade, the bigger bundle inside is loaded as well, with the same arguments: ``artifact="onnx-int8"`` runs
    that artifact of both. A ranking is of the cascade as a whole.

    Args:
        path: the bundle's directory.
        artifact: run this artifact and no other.
        backend: run only artifacts for this backend.
        precision: run only artifacts of this precision.
        threads: compute threads; ``None`` for the number that was measured to be best, or else the profile's, or else
            one per physical core. Of a ranking that was measured, only what is about this number counts.
        strict: raise the error of an artifact that fails instead of trying the next. To be slow is not to fail: turn
            the warning into an error with ``warnings.simplefilter("error", edgebert.SlowBackendWarning)``.
        build: build the plan of a TensorRT artifact where there is none, which takes minutes, once.
        tuned: use what ``edgebert tune`` measured, where it is of this very bundle, device and software. One that
            cannot be read is passed over with a :class:`~edgebert.errors.RankingWarning`.

    Raises:
        BundleError: the bundle cannot be read, or its tokenizer or golden file is altered.
        SelectionError: no artifact that the arguments allow works; the message lists them with the reasons.
        InputError: ``threads`` is not a whole number of at least 1.
        BackendError, IntegrityError, OutputError: with ``strict``, the failure of the best artifact.
    """
    if threads is not None and (isinstance(threads, bool) or not isinstance(threads, int) or threads < 1):
        raise InputError(f"threads={threads!r} is not allowed.", hint="Use a whole number of at least 1, or None.")
    wanted = _Wanted(artifact, backend, precision, threads, strict, build)
    return _load(open_bundle(path), wanted, None if tuned else Found(), stacklevel=3)


def load_configuration(path: str | os.PathLike[str], configuration: Configuration) -> Model:
    """Load a bundle with one artifact, run in one way, as ``edgebert tune`` measures it.

    Raises:
        BundleError, SelectionError, BackendError, IntegrityError: as :func:`load` with ``strict``.
    """
    wanted = _Wanted(configuration.artifact, None, None, configuration.threads, strict=True, build=False)
    return _load(open_bundle(path), wanted, Measured((configuration,)), stacklevel=3)


@dataclass(frozen=True, slots=True)
class _Wanted:
    """The arguments of :func:`load`."""

    artifact: str | None
    backend: str | None
    precision: str | None
    threads: int | None
    strict: bool
    build: bool


def _load(bundle: Bundle, wanted: _Wanted, found: Found | Measured | None, *, stacklevel: int) -> Model:
    """The model of a bundle.

    Args:
        bundle: the bundle, or the bigger one of a cascade.
        wanted: what the caller asked for.
        found: the ranking of the whole, or what is to count as measured; ``None`` to look for one.
        stacklevel: that of warnings, which are about the caller of :func:`load`.
    """
    manifest, build = bundle.manifest, wanted.build
    machine, runtimes = describe_machine(), find_runtimes()
    if found is None:
        found = find_ranking(bundle, machine, runtimes)
        if found.fault:
            message = f"The ranking of {manifest.name} is passed over: {found.fault}. `edgebert tune` measures it anew."
            warnings.warn(message, RankingWarning, stacklevel=stacklevel)
    candidates = rank(
        manifest,
        machine,
        runtimes,
        artifact=wanted.artifact,
        backend=wanted.backend,
        precision=wanted.precision,
        measured=_measured(found, wanted.threads),
    )
    task = open_task(manifest.task)
    tokenizer_json = bundle.read(manifest.tokenizer.file)
    golden = bundle.golden()
    verdicts: list[Verdict] = []
    for position, candidate in enumerate(candidates):
        if candidate.runtime is None:
            verdicts.append(cannot_run(candidate))
            continue
        try:
            engine = _open(candidate, bundle, golden, _threads(candidate, machine, wanted.threads), build=build)
        except (PlanError, OutputError) as error:  # there is none, or it cannot be built, or not be kept
            if wanted.strict:
                raise
            verdicts.append(Verdict(candidate.artifact.id, NO_PLAN, error.message))
            build = False  # it takes minutes, and what was missing for one is missing for the others
            continue
        except (BackendError, IntegrityError) as error:
            if wanted.strict:
                raise
            verdicts.append(Verdict(candidate.artifact.id, FAILED, error.message))
            continue
        tuned, not_tuned = _told(found, candidates)
        figures = {} if tuned is None else tuned.figures
        verdicts.append(Verdict(candidate.artifact.id, CHOSEN, _figure(candidate, figures)))
        verdicts += [
            Verdict(later.artifact.id, NOT_NEEDED, _figure(later, figures))
            if later.runtime is not None
            else cannot_run(later)
            for later in candidates[position + 1 :]
        ]
        max_length = min(manifest.tokenizer.max_length, candidate.artifact.shapes.max_length)
        try:
            tokenizer = TextTokenizer(tokenizer_json, max_length=max_length, pad_id=manifest.tokenizer.pad_id)
            for names, reason in _passed_over(verdicts, candidate.artifact):
                message = f"Artifact {names} of {manifest.name} is passed over: {reason}"
                warnings.warn(message, BackendFallbackWarning, stacklevel=stacklevel)
            if engine.facts.slowdown:
                message = f"Artifact {candidate.artifact.id} of {manifest.name} is slow here: {engine.facts.slowdown}."
                message += " `edgebert doctor` and `edgebert inspect --ops` tell more."
                warnings.warn(message, SlowBackendWarning, stacklevel=stacklevel)
            bigger = _load_bigger(bundle, wanted, found, stacklevel=stacklevel + 2)
        except BaseException:
            engine.close()
            raise
        explanation = Explanation(
            bundle=manifest.name,
            chosen=candidate.artifact.id,
            profile=candidate.profile.target if candidate.profile else None,
            facts=engine.facts,
            self_test=engine.load_test,
            tokenizer=tokenizer.runs_in,
            verdicts=tuple(verdicts),
            tuned=tuned,
            not_tuned=not_tuned,
        )
        return Model(
            engine=engine, tokenizer=tokenizer, task=task, manifest=manifest, explanation=explanation, bigger=bigger
        )
    raise _nothing_works(manifest.name, candidates, verdicts)


def _load_bigger(bundle: Bundle, wanted: _Wanted, found: Found | Measured, *, stacklevel: int) -> Model | None:
    cascade = bundle.manifest.cascade
    if cascade is None:
        return None
    try:
        return _load(open_bigger(bundle, cascade), wanted, found, stacklevel=stacklevel)
    except SelectionError as error:
        whose = f"The bigger model of the cascade {bundle.manifest.name}"
        raise SelectionError(f"{whose}: {error.message}", hint=error.hint) from error


def _open(candidate: Candidate, bundle: Bundle, golden: Golden, threads: int, *, build: bool) -> GuardedEngine:
    assert candidate.runtime is not None
    artifact = candidate.artifact
    if build and artifact.backend in NEEDS_PLAN:
        from edgebert.runtime.plans.build import build_plan  # ctypes and subprocess, which few loads need

        build_plan(bundle, artifact, candidate.runtime)
    bundle.verify(artifact.files)
    engine = build_engine(artifact, [bundle.file(ref) for ref in artifact.files], threads, candidate.runtime)
    return GuardedEngine(engine, golden, artifact.tolerance)


def _passed_over(verdicts: list[Verdict], chosen: Artifact) -> list[tuple[str, str]]:
    """What to warn of: each artifact that failed, and once that plans are missing, unless another plan runs."""
    passed = [(one.artifact, one.reason) for one in verdicts if one.status == FAILED]
    unbuilt = [one for one in verdicts if one.status == NO_PLAN]
    if unbuilt and chosen.backend not in NEEDS_PLAN:
        others = f" (and {', '.join(one.artifact for one in unbuilt[1:])})" if unbuilt[1:] else ""
        passed.append((unbuilt[0].artifact + others, unbuilt[0].reason))
    return passed


def _measured(found: Found | Measured, threads: int | None) -> Measured | None:
    """What selection gets of a ranking: of a number of threads that is asked for, only what is about it."""
    if isinstance(found, Found):
        return None if found.ranking is None else found.ranking.measured.with_threads(threads)
    return found


def _told(found: Found | Measured, candidates: list[Candidate]) -> tuple[Tuned | None, str]:
    """What the explanation tells of the ranking, and why it was not used."""
    if isinstance(found, Measured):
        return None, ""
    ranking = found.ranking
    if ranking is None:
        return None, found.fault or found.stale
    if not any(candidate.measured for candidate in candidates):
        about = f"that of {ranking.created[:10]} for {ranking.objective}"
        return None, f"{about} is not used: it has nothing of what was asked for"
    figures = {str(entry.configuration): ranking.figure(entry) for entry in ranking.entries}
    return Tuned(ranking.created, ranking.objective, figures), ""


def _figure(candidate: Candidate, figures: Mapping[str, str]) -> str:
    """What was measured of a candidate; empty where nothing was."""
    if candidate.measured is None or str(candidate.measured) not in figures:
        return ""
    how = str(candidate.measured).removeprefix(f"{candidate.artifact.id}, ")
    return f"{figures[str(candidate.measured)]} with {how}"


def _threads(candidate: Candidate, machine: Machine, threads: int | None) -> int:
    measured = candidate.measured.threads if candidate.measured else None
    profile = candidate.profile.threads if candidate.profile else None
    return threads or measured or profile or machine.physical_cores


def _nothing_works(name: str, candidates: list[Candidate], verdicts: list[Verdict]) -> SelectionError:
    listing = "".join(f"\n  {verdict.artifact}: {verdict.reason}" for verdict in verdicts)
    install = next((candidate.install for candidate in candidates if candidate.install), "")
    if install:
        hint = f"Install the backend of the best one: {install}"
    elif any(verdict.status == NO_PLAN for verdict in verdicts):
        hint = "Run `edgebert build-plan` with the bundle."
    elif any(verdict.status == FAILED for verdict in verdicts):
        hint = "Convert the checkpoint again, or copy the bundle again."
    else:
        hint = "Convert for this machine's target."
    return SelectionError(f"No artifact of {name} works on this machine:{listing}\n", hint=hint)
