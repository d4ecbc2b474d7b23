"""A device that is made up: it answers jobs at once, on a clock of its own, with costs and answers as a test wants."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from edgebert.bench.tuning.answers import Answer
from edgebert.bench.tuning.job import Failure, Job, OutOfTime, Trial
from edgebert.bench.tuning.search import Search
from edgebert.bundle import Cascade, CascadeHeadline, Manifest
from edgebert.runtime.selection import Configuration
from tests.bundle import samples

TEXTS = [f"text {number}" for number in range(60)]
Answers = Callable[[Configuration, str], Answer]


def right(configuration: Configuration, text: str) -> Answer:
    """Every configuration answers alike."""
    number = float(text.split()[1])
    return Answer(("POSITIVE" if number % 2 else "NEGATIVE",), (number, -number))


@dataclass
class Device:
    """Runs jobs: a start, then twice the time of each text, which varies by ``noise``.

    Attributes:
        text_ms: of each configuration.
        startup: seconds of each process.
        noise: the most by which a process' times vary, as a share.
        answers: what is answered.
        memory: peak in MB, by configuration.
        broken: configuration -> why it does not run.
        breaks_after: how many processes a broken one runs before.
        jobs: what was done.
        now: the time.
    """

    text_ms: dict[Configuration, float]
    startup: float = 0.5
    noise: float = 0.0
    answers: Answers = right
    memory: dict[Configuration, float] = field(default_factory=dict)
    broken: dict[Configuration, str] = field(default_factory=dict)
    breaks_after: int = 0
    rng: random.Random = field(default_factory=lambda: random.Random(0))
    jobs: list[Job] = field(default_factory=list)
    now: float = 100.0

    def run(self, job: Job, seconds: float) -> Trial | Failure | OutOfTime:
        """See :func:`edgebert.bench.tuning.launch.run_job`."""
        self.jobs.append(job)
        one = job.configuration
        if one in self.broken and sum(done.configuration == one for done in self.jobs) > self.breaks_after:
            return Failure(self.broken[one])
        text_ms = self.text_ms[one] * (1 + self.noise * self.rng.uniform(-1, 1))
        count = len(job.texts)
        if job.seconds is not None:
            count = min(count, max(job.least, int(job.seconds * 1000 / text_ms)))
        work = count * text_ms / 1000 * (2 if job.objective else 1)
        if self.startup + work > seconds:
            self.now += max(seconds, 0)
            return OutOfTime()
        self.now += self.startup + work
        value = {"throughput": 1000 / text_ms, "memory": self.memory.get(one, 100.0)}.get(job.objective, text_ms)
        answers = [self.answers(one, text) for text in job.texts[:count]]
        return Trial(answers, value if job.objective else 0.0, text_ms, work, self.startup + work)

    def search(
        self, budget: float = 60.0, *, objective: str = "latency", manifest: Manifest | None = None, **changes: Any
    ) -> Search:
        """A search on this device."""
        return Search(
            "bundle",
            manifest or samples.manifest(),
            objective,
            changes.pop("texts", TEXTS),
            budget,
            rng=random.Random(changes.pop("seed", 0)),
            progress=changes.pop("progress", lambda line: None),
            run=self.run,
            clock=lambda: self.now,
        )

    def rank(self, search: Search) -> list[Configuration]:
        """What the search puts in which order, with the first configuration as the reference."""
        search.answer(list(self.text_ms)[:1])
        return [entry.configuration for entry in search.rank(list(self.text_ms))]

    def processes(self, configuration: Configuration) -> int:
        """How many processes measured it."""
        return sum(job.configuration == configuration and job.objective != "" for job in self.jobs)


def configurations(*threads: int) -> list[Configuration]:
    """Those of the tiny bundle: onnx-fp32, openvino-int8, tflite-int8."""
    return [Configuration(one.id, count) for one in samples.manifest().artifacts for count in threads or (1, 2)]


def agreeing(share: float, manifest: Manifest | None = None) -> Manifest:
    """The tiny bundle's manifest, with another share of equal labels in the evidence of all artifacts."""
    whole = manifest or samples.manifest()
    changed: Sequence[Any] = [
        replace(one, evidence=replace(one.evidence, label_agreement=share)) for one in whole.artifacts
    ]
    return replace(whole, artifacts=tuple(changed))


def in_front() -> Manifest:
    """The tiny bundle's manifest, as of a cascade."""
    ref = samples.file_ref("evidence.json")
    rule = Cascade("bigger", (ref,), 1.0, 0.9, CascadeHeadline(436, "accuracy", 0.89, 0.891, 0.2), ref, ref)
    return samples.manifest(cascade=rule)
