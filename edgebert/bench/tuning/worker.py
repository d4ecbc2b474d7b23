"""The inside of a worker process: load one configuration, answer texts with it, and measure what the objective wants.

:mod:`edgebert.bench.tuning.launch` starts it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

from edgebert.bench.energy import EnergyMeter, open_meter
from edgebert.bench.process import peak_rss_bytes
from edgebert.bench.tuning.answers import Answer, answer_options, read_answer
from edgebert.bench.tuning.job import Failure, Job, Trial, dump_result
from edgebert.bundle import open_bundle
from edgebert.errors import BackendError, EdgebertError
from edgebert.runtime.load import load_configuration
from edgebert.runtime.model import Model

BATCH_SIZE = 8
"""Inputs that ``Model.stream`` runs together at most: its own default."""


def main(job_path: str, result_path: str) -> None:
    """Do the :class:`~edgebert.bench.tuning.job.Job` in a file, and write what it gives to another."""
    job = Job.from_json(Path(job_path).read_text(encoding="ascii"))
    result: Trial | Failure
    try:
        result = measure(job)
    except EdgebertError as error:
        result = Failure(error.message)
    Path(result_path).write_text(dump_result(result), encoding="ascii")


def measure(job: Job) -> Trial:
    """Load, answer the texts without the clock, and then with it.

    The first pass gives the answers, and backends prepare kernels in it for each shape that they have not met.

    Raises:
        EdgebertError: the configuration does not load, or fails in use.
    """
    task = open_bundle(job.bundle).manifest.task
    with load_configuration(job.bundle, job.configuration) as model:
        start = perf_counter()
        inputs = [model.example(text)[0] for text in job.texts]
        options = model.example("")[1]
        together = job.objective == "throughput"
        asked = {**options, **answer_options(task)}
        answers: list[Answer] = []
        if together:
            answers += [read_answer(task, one) for one in model.stream(inputs, batch_size=BATCH_SIZE, **asked)]
        else:
            for item in inputs:
                if job.seconds is not None and len(answers) >= job.least and perf_counter() - start > job.seconds:
                    break
                answers.append(read_answer(task, model([item], **asked)[0]))
        value, text_ms = _figure(model, job.objective, inputs, options) if job.objective else (0.0, 0.0)
        return Trial(answers, value, text_ms, perf_counter() - start)


def _figure(model: Model, objective: str, inputs: Sequence[object], options: Mapping[str, Any]) -> tuple[float, float]:
    """The figure in the objective's unit, and milliseconds per text."""

    def alone() -> list[float]:
        times = []
        for item in inputs:
            start = perf_counter()
            model(item, **options)
            times.append((perf_counter() - start) * 1000)
        return times

    if objective == "throughput":
        start = perf_counter()
        for _ in model.stream(inputs, batch_size=BATCH_SIZE, **options):
            pass
        seconds = perf_counter() - start
        return len(inputs) / seconds, seconds * 1000 / len(inputs)
    if objective == "energy":
        return _energy(alone, len(inputs))
    text_ms = median(alone())
    if objective == "memory":
        peak = peak_rss_bytes()
        if peak is None:
            raise BackendError("The system does not say how much memory a process took.")
        return peak / 1e6, text_ms
    return text_ms, text_ms


def _energy(alone: Callable[[], list[float]], count: int) -> tuple[float, float]:
    """Joules per text, over as many passes as the meter needs for its steps not to count."""
    meter = open_meter()
    if not isinstance(meter, EnergyMeter):
        raise BackendError(f"Energy cannot be measured: {meter.reason}.")
    with meter:
        times: list[float] = []
        before, start = meter.joules(), perf_counter()
        while not times or perf_counter() - start < meter.least_seconds:
            times += alone()
        joules = meter.joules() - before
    if joules <= 0:
        raise BackendError("The energy meter stood still.")
    return joules / len(times), median(times)
