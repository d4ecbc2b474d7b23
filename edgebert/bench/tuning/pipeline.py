"""``edgebert tune``: what of a bundle runs best on this machine, measured within a time budget and remembered."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from datetime import datetime, timezone
from math import isfinite
from pathlib import Path

from edgebert.assets import calibration_texts
from edgebert.bench.energy import EnergyMeter, open_meter
from edgebert.bench.inputs import check_texts
from edgebert.bench.noise import MAX_IDLE_LOAD
from edgebert.bench.process import load_average, peak_rss_bytes
from edgebert.bench.tuning.candidates import find_candidates, thread_counts
from edgebert.bench.tuning.launch import run_job
from edgebert.bench.tuning.report import TuningReport
from edgebert.bench.tuning.search import Search
from edgebert.bundle import Bundle, limits, open_bundle
from edgebert.devices import Machine, describe_machine, find_runtimes
from edgebert.errors import InputError, SelectionError
from edgebert.runtime.ranking import OBJECTIVES, Ranking
from edgebert.runtime.ranking_key import key_of
from edgebert.runtime.ranking_store import make_ranking_folder, store_ranking
from edgebert.runtime.tasks import open_task
from edgebert.runtime.tokenization import TextTokenizer


def tune(
    path: Path,
    *,
    budget: float = 60.0,
    objective: str = "latency",
    texts: Sequence[str] | None = None,
    threads: Sequence[int] | None = None,
    seed: int = 0,
    progress: Callable[[str], None] | None = None,
) -> TuningReport:
    """Measure how a bundle runs best on this machine, and remember it: ``edgebert.load`` then runs it so.

    Configurations are artifacts, numbers of threads, and for static shapes fewer buckets. Each measurement is a fresh
    process, in random order. The time goes to the best by sequential halving
    (:mod:`edgebert.bench.tuning.halving`). A configuration must pass the golden self-test, answer as the most precise
    artifact does (:mod:`edgebert.bench.tuning.answers`), and as its artifact does with fewer threads.

    Args:
        path: the bundle's folder. A cascade is measured as a whole, with the same artifact and threads in all of it.
        budget: seconds that it may take.
        objective: ``"latency"`` (median of single texts), ``"throughput"`` (``Model.stream``), ``"memory"`` (peak of
            the process) or ``"energy"`` (joules per text).
        texts: texts like those to be served; ``None`` for the built-in ones.
        threads: numbers of compute threads to try; ``None`` for powers of two up to the physical cores, and all of
            these.
        seed: of the random orders.
        progress: called with a line before each measurement.

    Raises:
        BundleError: the bundle cannot be read.
        SelectionError: nothing of it runs here and answers rightly.
        InputError: an argument is not usable, the budget is too short, or the objective cannot be measured here.
        OutputError: the ranking cannot be kept.
    """
    _check(budget, objective, threads)
    bundle = open_bundle(path)
    machine, runtimes = describe_machine(), find_runtimes()
    chosen = _texts(bundle, texts)
    field = find_candidates(bundle, machine, runtimes, threads or thread_counts(machine))
    if not field.configurations:
        listing = "".join(f"\n  {artifact}: {reason}" for artifact, reason in field.absent.items())
        raise SelectionError(
            f"Nothing to tune: no artifact of {bundle.manifest.name} can run on this machine:{listing}\n",
            hint="Run `edgebert doctor`.",
        )
    make_ranking_folder()  # before the time is spent
    noise = _noise(machine)
    rng = random.Random(seed)
    search = Search(
        str(bundle.path),
        bundle.manifest,
        objective,
        rng.sample(chosen, len(chosen)),
        budget,
        rng=rng,
        progress=progress or (lambda line: None),
        run=run_job,
    )
    reference = search.answer(field.references)
    entries = search.rank(field.configurations)
    ranking = Ranking(
        key=key_of(bundle, machine, runtimes),
        created=datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
        objective=objective,
        texts="built-in" if texts is None else "given",
        reference=reference,
        entries=entries,
        refused=search.refused,
    )
    return TuningReport(
        bundle=bundle.manifest.name,
        ranking=ranking,
        path=str(store_ranking(bundle, ranking)),
        texts=len(search.texts),
        seconds=search.seconds,
        budget=budget,
        absent=field.absent,
        noise=noise,
    )


def _check(budget: float, objective: str, threads: Sequence[int] | None) -> None:
    if objective not in OBJECTIVES:
        raise InputError(f"objective={objective!r} is not allowed.", hint=f"Use {', '.join(OBJECTIVES)}.")
    if not isfinite(budget) or budget <= 0:
        raise InputError(f"budget={budget!r} is not allowed.", hint="Use a number of seconds above 0.")
    for count in threads if threads is not None else (1,):
        if isinstance(count, bool) or not isinstance(count, int) or not 1 <= count <= limits.MAX_THREADS:
            raise InputError(f"threads={count!r} is not allowed.", hint=f"Use 1 to {limits.MAX_THREADS}.")
    if objective == "memory" and peak_rss_bytes() is None:
        raise InputError(
            "Memory cannot be measured here: the system does not say how much a process took (no /proc/self/status).",
            hint="Use another objective.",
        )
    if objective == "energy":
        meter = open_meter()
        if not isinstance(meter, EnergyMeter):
            raise InputError(
                f"Energy cannot be measured here: {meter.reason}.",
                hint="Use another objective, or a machine with a meter that can be read: RAPL's counters need root.",
            )
        meter.close()


def _texts(bundle: Bundle, texts: Sequence[str] | None) -> list[str]:
    if texts is None:
        return calibration_texts()
    if isinstance(texts, str) or not texts or not all(isinstance(text, str) for text in texts):
        raise InputError("texts must be a list of at least one str.", hint="Leave it out for the built-in texts.")
    tokenizer = bundle.manifest.tokenizer
    check_texts(
        open_task(bundle.manifest.task),
        TextTokenizer(bundle.read(tokenizer.file), max_length=tokenizer.max_length),
        texts,
    )
    return list(texts)


def _noise(machine: Machine) -> tuple[str, ...]:
    load = load_average()
    if load is None or load[0] <= MAX_IDLE_LOAD * machine.logical_cores:
        return ()
    return (f"the load average was {load[0]:.2f} at the start: something else runs, or just ran",)
