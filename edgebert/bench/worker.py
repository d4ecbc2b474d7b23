"""The inside of a worker process: load one artifact, use it, and write down how long everything took.

``edgebert.bench.launch`` starts it. It has a process of its own because peak memory and a cold load need one, and
because the thread pools of two backends in one process spin against each other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from edgebert.bench.energy import EnergyMeter, open_meter
from edgebert.bench.process import peak_rss_bytes, resident
from edgebert.bench.thermal import thermal_state
from edgebert.bench.trial import BATCH_SIZE, WARMUP_RUNS, Job, Joules, Refusal, Trial, dump_answer
from edgebert.bundle import open_bundle
from edgebert.errors import EdgebertError
from edgebert.runtime import load
from edgebert.runtime.tasks import open_task
from edgebert.runtime.tokenization import TextTokenizer

_DIGITS = 4
"""Of a time in milliseconds: tenths of a microsecond, which is what the clock gives."""


def main(job_path: str, answer_path: str, interpreter_ms: float, import_ms: float) -> None:
    """Do the job in ``job_path`` and write the answer to ``answer_path``.

    Args:
        job_path: a :class:`~edgebert.bench.trial.Job` as JSON.
        answer_path: where the :class:`~edgebert.bench.trial.Trial` goes, or the
            :class:`~edgebert.bench.trial.Refusal` if the model raises an error of EdgeBERT.
        interpreter_ms: measured before this module could be imported; see ``Trial``.
        import_ms: likewise.
    """
    job = Job.from_json(Path(job_path).read_text(encoding="ascii"))
    answer: Trial | Refusal
    try:
        answer = measure(job, interpreter_ms, import_ms)
    except EdgebertError as error:
        answer = Refusal(error.message)
    Path(answer_path).write_text(dump_answer(answer), encoding="ascii")


def measure(job: Job, interpreter_ms: float, import_ms: float) -> Trial:
    """Run the protocol of ``edgebert.bench.report.PROTOCOL`` for one artifact in this process.

    Raises:
        EdgebertError: the artifact does not load, or fails in use.
    """
    start = perf_counter()
    model = load(job.bundle, artifact=job.artifact, threads=job.threads, strict=True, tuned=False)
    load_ms = _since(start)
    with model:
        _, options = model.example("")
        lengths, sample, texts = (
            [model.example(text)[0] for text in part] for part in (job.lengths, job.sample, job.texts)
        )

        def answer(item: object) -> float:
            start = perf_counter()
            model(item, **options)
            return _since(start)

        def answer_all() -> float:
            start = perf_counter()
            for _ in model.stream(texts, batch_size=BATCH_SIZE, **options):
                pass
            return perf_counter() - start

        first_answer_ms = answer(lengths[0])
        first_answer_rss = peak_rss_bytes()
        for _ in range(WARMUP_RUNS):
            answer(lengths[0])
        before = thermal_state()
        latencies_ms: list[list[float]] = [[] for _ in lengths]
        for place in job.length_order or range(len(lengths)):
            for _ in range(WARMUP_RUNS):
                answer(lengths[place])
            latencies_ms[place] = [answer(lengths[place]) for _ in range(job.repetitions)]
        # A pass without the clock first: backends prepare kernels for each shape that they have not met.
        for item in sample:
            answer(item)
        sample_ms = [answer(item) for item in sample]
        answer_all()
        stream_seconds = answer_all()
        after = thermal_state()
        # From here on nothing is timed, and memory that is taken is not the model's.
        held, peak_rss = resident(), peak_rss_bytes()
        joules = _energy(sample, len(texts), answer, answer_all, job.battery)
        prepare = _preparation(job.bundle, model.max_length, options)
        return Trial(
            interpreter_ms=interpreter_ms,
            import_ms=import_ms,
            load_ms=load_ms,
            first_answer_ms=first_answer_ms,
            first_answer_rss=first_answer_rss,
            peak_rss=peak_rss,
            latencies_ms=latencies_ms,
            sample_ms=sample_ms,
            stream_seconds=stream_seconds,
            tokenization_ms=[_timed(prepare, [item] * job.repetitions) for item in lengths],
            sample_tokenization_ms=_timed(prepare, sample),
            resident=held,
            before=before,
            after=after,
            joules=joules,
            facts=model.explain().facts,
        )


def _preparation(bundle_path: str, max_length: int, options: Mapping[str, Any]) -> Callable[[object], object]:
    """What the model does with an input before its backend runs: options, text to tokens, tokens to windows."""
    bundle = open_bundle(bundle_path)
    reference = bundle.manifest.tokenizer
    tokenizer = TextTokenizer(bundle.read(reference.file), max_length=max_length, pad_id=reference.pad_id)
    task = open_task(bundle.manifest.task)
    return lambda item: task.prepare(tokenizer, item, task.parse_options(**options))


def _timed(prepare: Callable[[object], object], items: Sequence[object]) -> float:
    """The median time of a call in milliseconds, after one pass without the clock."""
    for item in items:
        prepare(item)
    times = []
    for item in items:
        start = perf_counter()
        prepare(item)
        times.append(_since(start))
    return float(np.median(times))


def _energy(
    sample: Sequence[object],
    texts: int,
    answer: Callable[[object], object],
    answer_all: Callable[[], object],
    battery: bool,
) -> Joules | None:
    """Energy, where something measures it: of the sample one by one, then of all texts streamed."""
    meter = open_meter(battery=battery)
    if not isinstance(meter, EnergyMeter):
        return None

    def answer_sample() -> None:
        for item in sample:
            answer(item)

    with meter:
        one = _joules_of(meter, answer_sample) / len(sample)
        streamed = _joules_of(meter, answer_all) / texts
    # A meter that has not moved was too coarse, or stood still.
    return Joules(one, streamed) if one > 0 and streamed > 0 else None


def _joules_of(meter: EnergyMeter, work: Callable[[], object]) -> float:
    """Joules of one call of ``work``, from as many as the meter needs."""
    calls, begun, start = 0, meter.joules(), perf_counter()
    while not calls or perf_counter() - start < meter.least_seconds:
        work()
        calls += 1
    return (meter.joules() - begun) / calls


def _since(start: float) -> float:
    return round((perf_counter() - start) * 1000, _DIGITS)
