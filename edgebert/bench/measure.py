"""The benchmark: which artifacts to measure, in which order, and what the workers' answers amount to."""

from __future__ import annotations

import hashlib
import platform
import random
from collections.abc import Callable, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np

from edgebert._version import __version__
from edgebert.assets import calibration_texts
from edgebert.bench.inputs import check_texts, text_of_length
from edgebert.bench.launch import Crash, run_worker
from edgebert.bench.noise import find_noise
from edgebert.bench.process import load_average
from edgebert.bench.report import BenchmarkReport, Plan
from edgebert.bench.summary import summarize
from edgebert.bench.trial import BATCH_SIZE, WARMUP_RUNS, Job, Refusal, Trial
from edgebert.bundle import Manifest, open_bundle
from edgebert.devices import Machine, describe_machine, find_runtimes
from edgebert.errors import InputError, SelectionError
from edgebert.runtime.selection import Candidate, rank
from edgebert.runtime.tasks import TaskHandler, open_task
from edgebert.runtime.tokenization import TextTokenizer


def run_benchmark(
    bundle: Path,
    *,
    artifacts: Sequence[str] | None = None,
    lengths: Sequence[int] = (16, 32, 64, 128),
    repetitions: int = 30,
    rounds: int = 3,
    threads: int | None = None,
    texts: Sequence[str] | None = None,
    seed: int = 0,
    progress: Callable[[str], None] | None = None,
) -> BenchmarkReport:
    """Measure the artifacts of a bundle on this machine.

    Each one is loaded and used in a process of its own, once per round; :data:`edgebert.bench.report.PROTOCOL` says
    what is measured how. An artifact that cannot run here, fails or crashes is reported as such and does not stop the
    others.

    Args:
        bundle: the bundle's folder.
        artifacts: ids of the artifacts to measure; ``None`` for all.
        lengths: input lengths in tokens, special tokens included.
        repetitions: timed calls per length and round.
        rounds: how often every artifact is measured.
        threads: compute threads; ``None`` for what ``edgebert.load`` chooses.
        texts: texts for throughput and batch-1 latency, of which the task makes its inputs; ``None`` for the built-in
            calibration texts.
        seed: of the order of the artifacts and of the texts drawn.
        progress: called with a line before each measurement.

    Raises:
        BundleError: the bundle cannot be read.
        SelectionError: an artifact is not in the bundle, or none can run on this machine.
        InputError: another argument is not usable; a length may be above what the model takes, or one that the task
            cannot make.
    """
    for name, value in (("repetitions", repetitions), ("rounds", rounds)):
        _check_count(name, value)
    if threads is not None:
        _check_count("threads", threads)
    opened = open_bundle(bundle)
    machine = describe_machine()
    candidates = _candidates(opened.manifest, machine, artifacts)
    runnable = [candidate.artifact.id for candidate in candidates if candidate.runtime is not None]
    if not runnable:
        raise _nothing_runs(opened.manifest.name, candidates)
    chosen = calibration_texts() if texts is None else _check_texts(texts)
    limit = _limit(opened.manifest, candidates, lengths)
    tokenizer = TextTokenizer(opened.read(opened.manifest.tokenizer.file), max_length=limit)
    inputs = _inputs(open_task(opened.manifest.task), tokenizer, lengths, chosen)

    rng = random.Random(seed)
    order = tuple(tuple(rng.sample(runnable, len(runnable))) for _ in range(rounds))
    samples = [rng.sample(chosen, min(repetitions, len(chosen))) for _ in range(rounds)]
    created = datetime.now(timezone.utc).isoformat(timespec="seconds").replace("+00:00", "Z")
    before = load_average()
    trials: dict[str, list[Trial]] = {artifact: [] for artifact in runnable}
    failures: dict[str, Refusal | Crash] = {}
    for number, (ids, sample) in enumerate(zip(order, samples, strict=True), start=1):
        for artifact in ids:
            if artifact in failures:
                continue
            if progress is not None:
                progress(f"round {number} of {rounds}: {artifact}")
            answer = run_worker(
                Job(str(opened.path), artifact, threads, repetitions, list(inputs.values()), sample, chosen)
            )
            if isinstance(answer, Trial):
                trials[artifact].append(answer)
            else:
                failures[artifact] = answer
    after = load_average()

    results = tuple(
        summarize(
            candidate,
            trials.get(candidate.artifact.id, []),
            failures.get(candidate.artifact.id),
            lengths=tuple(inputs),
            text_count=len(chosen),
        )
        for candidate in candidates
    )
    return BenchmarkReport(
        bundle=opened.manifest.name,
        bundle_digest=opened.digest,
        created=created,
        machine=machine,
        versions=_versions(tokenizer),
        plan=Plan(
            lengths=tuple(inputs),
            repetitions=repetitions,
            rounds=rounds,
            warmup_runs=WARMUP_RUNS,
            batch_size=BATCH_SIZE,
            threads=threads,
            seed=seed,
            order=order,
            texts="built-in" if texts is None else "given",
            text_count=len(chosen),
            text_sha256=_digest(chosen),
        ),
        load_average_before=before,
        load_average_after=after,
        noise=find_noise(before, after, machine.logical_cores, results),
        artifacts=results,
    )


def _candidates(manifest: Manifest, machine: Machine, artifacts: Sequence[str] | None) -> list[Candidate]:
    ranked = rank(manifest, machine, find_runtimes())
    if artifacts is None:
        return ranked
    if not artifacts:
        raise InputError("artifacts is empty.", hint="Name at least one, or leave it out for all.")
    known = [artifact.id for artifact in manifest.artifacts]
    for artifact in artifacts:
        if artifact not in known:
            raise SelectionError(f"The bundle has no artifact {artifact!r}.", hint=f"It has: {', '.join(known)}.")
    return [candidate for candidate in ranked if candidate.artifact.id in artifacts]


def _nothing_runs(name: str, candidates: Sequence[Candidate]) -> SelectionError:
    listing = "".join(f"\n  {candidate.artifact.id}: {candidate.reason}" for candidate in candidates)
    install = next((candidate.install for candidate in candidates if candidate.install), "")
    return SelectionError(
        f"No artifact to measure: none of {name} can run on this machine:{listing}\n",
        hint=f"Install a backend: {install}" if install else "Convert for this machine's target.",
    )


def _limit(manifest: Manifest, candidates: Sequence[Candidate], lengths: Sequence[int]) -> int:
    """The longest input in tokens that all candidates take; ``lengths`` are checked against it."""
    if not lengths:
        raise InputError("lengths is empty.", hint="Give at least one length in tokens.")
    limits = [candidate.artifact.shapes.max_length for candidate in candidates if candidate.runtime is not None]
    limit = min(manifest.tokenizer.max_length, *limits)
    for length in lengths:
        _check_count("length", length)
        if length > limit:
            raise InputError(
                f"A length of {length} tokens is above the limit of {limit} of {manifest.name}.",
                hint=f"Use lengths of at most {limit}.",
            )
    return limit


def _inputs(
    task: TaskHandler[Any], tokenizer: TextTokenizer, lengths: Sequence[int], texts: Sequence[str]
) -> dict[int, str]:
    """Length in tokens -> a text that makes an input of that length, shortest first; ``texts`` are checked."""
    check_texts(task, tokenizer, texts)
    built_in = calibration_texts()
    return {length: text_of_length(task, tokenizer, built_in, length) for length in sorted(set(lengths))}


def _check_count(name: str, value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise InputError(f"{name}={value!r} is not allowed.", hint="Use a whole number of at least 1.")


def _check_texts(texts: Sequence[str]) -> list[str]:
    if isinstance(texts, str) or not texts or not all(isinstance(text, str) for text in texts):
        raise InputError("texts must be a list of at least one str.", hint="Leave it out for the built-in texts.")
    return list(texts)


def _digest(texts: Sequence[str]) -> str:
    digest = hashlib.sha256()
    for text in texts:
        digest.update(f"{text}\n".encode("utf-8", "surrogatepass"))
    return digest.hexdigest()


def _versions(tokenizer: TextTokenizer) -> dict[str, str]:
    return {
        "edgebert": __version__,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "tokenizers": tokenizer.runs_in.removeprefix("tokenizers "),  # else Python alone, and why
        "system": f"{platform.system()} {platform.release()}",
    }
