"""The benchmark: its rounds, what is asked of each artifact beside them, and the report of it all."""

from __future__ import annotations

import hashlib
import platform
import random
from collections.abc import Callable, Sequence
from datetime import datetime, timezone
from pathlib import Path

import numpy as np

from edgebert._version import __version__
from edgebert.assets import calibration_texts
from edgebert.bench.accuracy import EvaluationFile, answer_evaluation, compare, read_evaluation
from edgebert.bench.arguments import (
    check_count,
    check_precision,
    checked_texts,
    choose_candidates,
    longest_input,
    make_inputs,
    nothing_runs,
)
from edgebert.bench.executed import ask_what_executes
from edgebert.bench.idle import describe_meter
from edgebert.bench.noise import find_noise
from edgebert.bench.process import load_average
from edgebert.bench.progress import Schedule, Step, Task
from edgebert.bench.report import (
    ArtifactResult,
    BenchmarkReport,
    Course,
    Evaluation,
    Plan,
)
from edgebert.bench.rounds import RoundMaker
from edgebert.bench.settings import read_settings
from edgebert.bench.summary import Examined, Meter, describe, failed, measured
from edgebert.bench.thermal import thermal_state
from edgebert.bench.thermal import untold as untold_of_heat
from edgebert.bench.trial import BATCH_SIZE, WARMUP_RUNS, Job
from edgebert.bundle import Bundle, open_bundle
from edgebert.devices import describe_machine
from edgebert.runtime.bigger import stages
from edgebert.runtime.selection import Candidate
from edgebert.runtime.tasks import open_task
from edgebert.runtime.tokenization import TextTokenizer

DEFAULT_BUDGET = 600.0
"""Seconds that a run goes on for a precision, where nobody says how long."""


def run_benchmark(
    bundle: Path,
    *,
    artifacts: Sequence[str] | None = None,
    lengths: Sequence[int] = (16, 32, 64, 128),
    repetitions: int = 30,
    rounds: int = 3,
    precision: float | None = None,
    budget: float | None = None,
    threads: int | None = None,
    texts: Sequence[str] | None = None,
    evaluation: Path | None = None,
    battery: bool = False,
    seed: int = 0,
    progress: Callable[[Step], None] | None = None,
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
        rounds: how often every artifact is measured; with ``precision`` at least, as far as ``budget`` allows.
        precision: go on until half the interval of every p50 of a length is at most this share of it, such as 0.02.
        budget: seconds after which no round ends, likely, but for the first; ``None`` for :data:`DEFAULT_BUDGET` with
            ``precision``, else for as long as ``rounds`` take.
        threads: compute threads; ``None`` for what ``edgebert.load`` chooses.
        texts: texts for throughput and batch-1 latency, of which the task makes its inputs; ``None`` for the built-in
            calibration texts.
        evaluation: a file of inputs with their right answers, as for ``edgebert convert``.
        battery: whether a battery may serve as the meter of energy, where there is no better one.
        seed: of the orders and of the texts drawn.
        progress: called with each step as it begins.

    Raises:
        BundleError: the bundle cannot be read.
        SelectionError: an artifact is not in the bundle, or none can run on this machine.
        InputError: another argument is not usable; a length may be above what the model takes, or one that the task
            cannot make; or ``evaluation`` is given for a task that a benchmark does not score.
        DataError: the evaluation file is not usable.
    """
    for name, value in (("repetitions", repetitions), ("rounds", rounds)):
        check_count(name, value)
    if threads is not None:
        check_count("threads", threads)
    check_precision(precision, budget)
    opened = open_bundle(bundle)
    machine = describe_machine()
    candidates = choose_candidates(opened.manifest, machine, artifacts)
    runnable = [candidate.artifact.id for candidate in candidates if candidate.runtime is not None]
    if not runnable:
        raise nothing_runs(opened.manifest.name, candidates)
    chosen = calibration_texts() if texts is None else checked_texts(texts)
    limit = longest_input(opened.manifest, candidates, lengths)
    tokenizer = TextTokenizer(opened.read(opened.manifest.tokenizer.file), max_length=limit)
    inputs = make_inputs(open_task(opened.manifest.task), tokenizer, lengths, chosen)
    file = None if evaluation is None else read_evaluation(opened.manifest.task, tokenizer, evaluation)

    schedule = Schedule(progress)
    run = RoundMaker(
        lengths=tuple(inputs),
        job=Job(str(opened.path), "", threads, repetitions, list(inputs.values()), [], chosen, battery=battery),
        rounds=rounds,
        precision=precision,
        budget=DEFAULT_BUDGET if precision is not None and budget is None else budget,
        schedule=schedule,
        rng=random.Random(seed),
        trials={artifact: [] for artifact in runnable},
    )
    created = datetime.now(timezone.utc).isoformat(timespec="seconds").replace("+00:00", "Z")
    before = load_average()
    meter = describe_meter(battery=battery)
    ended = run.make_rounds(after=["executed", "evaluation"] if file else ["executed"])
    after = load_average()
    examined, about = _examine(
        run, opened, file, threads, {one.artifact.id: one.artifact.precision for one in candidates}
    )
    schedule.end()

    sizes = _stage_bytes(opened)
    results = tuple(
        _result(run, candidate, sizes[candidate.artifact.id], examined, len(chosen), meter) for candidate in candidates
    )
    course = _course(results, rounds=len(run.order), seconds=schedule.elapsed, ended=ended)
    return BenchmarkReport(
        bundle=opened.manifest.name,
        bundle_digest=opened.digest,
        bundle_bytes=(opened.path / "manifest.json").stat().st_size + sum(ref.size for ref in opened.manifest.files),
        task=opened.manifest.task.name,
        created=created,
        machine=machine,
        versions=_versions(tokenizer),
        settings=read_settings(),
        plan=Plan(
            lengths=run.lengths,
            repetitions=repetitions,
            rounds=rounds,
            warmup_runs=WARMUP_RUNS,
            batch_size=BATCH_SIZE,
            threads=threads,
            seed=seed,
            precision=precision,
            budget_seconds=run.budget,
            order=tuple(run.order),
            length_order=tuple(run.length_order),
            texts="built-in" if texts is None else "given",
            text_count=len(chosen),
            text_sha256=_digest(chosen),
        ),
        course=course,
        evaluation=about,
        load_average_before=before,
        load_average_after=after,
        noise=find_noise(before, after, machine.logical_cores, results),
        untold=_untold(results, meter),
        artifacts=results,
    )


def _examine(
    run: RoundMaker, bundle: Bundle, file: EvaluationFile | None, threads: int | None, precisions: dict[str, str]
) -> tuple[dict[str, Examined], Evaluation | None]:
    """What is asked of each artifact once, after the rounds, so that it does not heat the machine before them."""
    executed = {}
    for place, artifact in enumerate(able := run.able()):
        rest: list[Task] = [("executed", later) for later in able[place + 1 :]]
        rest += [("evaluation", one) for one in able] if file else []
        run.schedule.begin(("executed", artifact), f"what executes: {artifact}", rest)
        executed[artifact] = ask_what_executes(bundle.path, artifact)
    if file is None:
        return {artifact: Examined(executed[artifact], None) for artifact in able}, None
    values = {}
    for place, artifact in enumerate(able):
        rest = [("evaluation", later) for later in able[place + 1 :]]
        run.schedule.begin(("evaluation", artifact), f"accuracy on {Path(file.data.path).name}: {artifact}", rest)
        answer = answer_evaluation(bundle.path, artifact, threads, file)
        if isinstance(answer, dict):
            values[artifact] = answer
        else:
            run.failures[artifact] = answer
    about, accuracies = compare(bundle, file, values, precisions)
    return {artifact: Examined(executed[artifact], accuracies[artifact]) for artifact in run.able()}, about


def _result(
    run: RoundMaker,
    candidate: Candidate,
    stage_bytes: Sequence[int],
    examined: dict[str, Examined],
    text_count: int,
    meter: Meter | str,
) -> ArtifactResult:
    artifact = candidate.artifact.id
    result = describe(candidate, stage_bytes)
    if candidate.runtime is None:
        return result
    if artifact in run.failures:
        return failed(result, run.failures[artifact])
    return measured(
        result,
        run.trials[artifact],
        examined[artifact],
        lengths=run.lengths,
        text_count=text_count,
        meter=meter if isinstance(meter, Meter) else None,
    )


def _course(results: Sequence[ArtifactResult], *, rounds: int, seconds: float, ended: str) -> Course:
    shares = [
        (latency.precision, f"{result.id}, {length} tokens")
        for result in results
        if result.measurements is not None
        for length, latency in result.measurements.latency_ms.items()
        if latency.precision is not None
    ]
    precision, least_sure = max(shares, default=(None, ""))
    return Course(rounds, round(seconds, 3), ended, precision, least_sure)


def _stage_bytes(bundle: Bundle) -> dict[str, list[int]]:
    """Artifact -> the bytes of its files in each bundle of a cascade that has it, the front one first."""
    sizes: dict[str, list[int]] = {}
    for _, stage in stages(bundle):
        for artifact in stage.manifest.artifacts:
            sizes.setdefault(artifact.id, []).append(sum(file.size for file in artifact.files))
    return sizes


def _untold(results: Sequence[ArtifactResult], meter: Meter | str) -> dict[str, str]:
    measurements = [result.measurements for result in results if result.measurements is not None]
    found = untold_of_heat(thermal_state())
    if isinstance(meter, str):
        found["energy"] = meter
    elif measurements and all(one.energy is None for one in measurements):
        found["energy"] = f"the meter ({meter.source}) did not move while the model ran"
    if measurements and all(one.resident is None for one in measurements):
        found["memory"] = "no /proc/self/smaps_rollup: what is mapped and what is the process' own is not told"
    return dict(sorted(found.items()))


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
