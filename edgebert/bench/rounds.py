"""The rounds of a benchmark: in each every artifact once, in a fresh process, in an order that is drawn anew."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from edgebert.bench.launch import Crash, run_worker
from edgebert.bench.progress import Schedule, Task
from edgebert.bench.report import ALL_ROUNDS, OUT_OF_TIME, PRECISE
from edgebert.bench.stats import Interval, median_interval
from edgebert.bench.trial import Job, Refusal, Trial


@dataclass
class RoundMaker:
    """The rounds of a run, as they are made.

    Attributes:
        lengths: input lengths in tokens, in the order of ``job.lengths``.
        job: what a worker is to do, but for the artifact, the sample and the order of the lengths.
        rounds: how many are asked for; with ``precision`` at least.
        precision: as for :func:`edgebert.bench.run_benchmark`.
        budget: likewise.
        schedule: told what begins, and knows how long it took.
        rng: draws orders and samples.
        trials: artifact -> what its workers measured so far.
        failures: artifact -> why it is left out from then on.
        order: the artifacts of each round in their order.
        length_order: the lengths of each round in theirs.
    """

    lengths: tuple[int, ...]
    job: Job
    rounds: int
    precision: float | None
    budget: float | None
    schedule: Schedule
    rng: random.Random
    trials: dict[str, list[Trial]]
    failures: dict[str, Refusal | Crash] = field(default_factory=dict)
    order: list[tuple[str, ...]] = field(default_factory=list)
    length_order: list[tuple[int, ...]] = field(default_factory=list)

    def able(self) -> list[str]:
        """The artifacts that have not failed."""
        return [artifact for artifact in self.trials if artifact not in self.failures]

    def make_rounds(self, after: Sequence[str]) -> str:
        """Make rounds until there are enough; why there are. ``after`` is what follows for each artifact."""
        while True:
            self._make_round(after)
            if not self.able():
                return ALL_ROUNDS
            if len(self.order) >= self.rounds and self._is_precise():
                return ALL_ROUNDS if self.precision is None else PRECISE
            another = self.schedule.guess([("round", artifact) for artifact in self.able()]) or 0.0
            if self.budget is not None and self.schedule.elapsed + another > self.budget:
                return OUT_OF_TIME

    def _make_round(self, after: Sequence[str]) -> None:
        names = list(self.trials)
        order = tuple(self.rng.sample(names, len(names)))
        sample = self.rng.sample(self.job.texts, min(self.job.repetitions, len(self.job.texts)))
        places = self.rng.sample(range(len(self.lengths)), len(self.lengths))
        self.order.append(order)
        self.length_order.append(tuple(self.lengths[place] for place in places))
        number = len(self.order)
        of = f" of {self.rounds}" if number <= self.rounds else ", for the precision"
        for place, artifact in enumerate(order):
            if artifact in self.failures:
                continue
            rest: list[Task] = [("round", later) for later in order[place + 1 :] if later not in self.failures]
            rest += [("round", one) for _ in range(number, self.rounds) for one in self.able()]
            rest += [(kind, one) for kind in after for one in self.able()]
            self.schedule.begin(("round", artifact), f"round {number}{of}: {artifact}", rest)
            answer = run_worker(replace(self.job, artifact=artifact, sample=sample, length_order=places))
            if isinstance(answer, Trial):
                self.trials[artifact].append(answer)
            else:
                self.failures[artifact] = answer
        self.schedule.end()

    def _is_precise(self) -> bool:
        """Whether every p50 is as sure as asked for."""
        return self.precision is None or all(
            interval is not None and interval.share_of(p50) <= self.precision for p50, interval in self._intervals()
        )

    def _intervals(self) -> Iterator[tuple[float, Interval | None]]:
        for artifact in self.able():
            for per_round in zip(*(trial.latencies_ms for trial in self.trials[artifact]), strict=True):
                p50 = float(np.median([value for values in per_round for value in values]))
                yield p50, median_interval(p50, [float(np.median(values)) for values in per_round])
