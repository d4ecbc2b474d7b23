"""The search: measures the configurations of a field, rung by rung, and refuses those whose answers are not right."""

from __future__ import annotations

import random
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from statistics import median
from time import monotonic

from edgebert.bench.tuning.answers import Answer, compare, why_unsteady, why_wrong
from edgebert.bench.tuning.halving import FIRST_TEXTS, Cost, Rung, Score, order, plan_rung, rung_sizes
from edgebert.bench.tuning.job import Failure, Job, OutOfTime, Trial
from edgebert.bundle import Manifest
from edgebert.errors import InputError, SelectionError
from edgebert.runtime.ranking import Entry, Refused
from edgebert.runtime.selection import Configuration

_REFERENCE_SHARE = 0.1
"""Of the budget, to answer texts with the reference: as many as it manages are what the others are measured on."""

_LEAST_TEXTS = 8

_USED = 0.85
"""Of the time that is left, what is planned with: a round that is cut short at its end counts for nothing, and the best
is compared with itself on fewer threads at the end."""

_MAX_REASON = 500

Runner = Callable[[Job, float], Trial | Failure | OutOfTime]
"""Does a job in a process of its own, which is ended after so many seconds."""


@dataclass
class _Standing:
    """What is known of one configuration."""

    configuration: Configuration
    answers: dict[Hashable, Answer] = field(default_factory=dict)
    """By text: the index."""
    given: dict[Hashable, Answer] = field(default_factory=dict)
    """By sample and text: of a stream, texts make the same batches in the same sample alone."""
    sample: int = 0
    """The last one that was answered."""
    trials: list[Trial] = field(default_factory=list)
    """Of the last rung that it was in."""

    @property
    def cost(self) -> Cost:
        startup = median(trial.total_seconds - trial.work_seconds for trial in self.trials)
        return Cost(max(startup, 0.0), median(trial.work_seconds / len(trial.answers) for trial in self.trials))

    @property
    def values(self) -> list[float]:
        return [trial.value for trial in self.trials]


class Search:
    """Measures configurations of a bundle within a time budget.

    Args:
        bundle: the bundle's folder.
        manifest: its manifest.
        objective: what the figures are for.
        texts: what is answered, in the order in which texts are taken.
        budget: seconds, from now on.
        rng: of the orders.
        progress: called with a line before each measurement.
        run: what does a job.
        clock: seconds that pass.
    """

    def __init__(
        self,
        bundle: str,
        manifest: Manifest,
        objective: str,
        texts: Sequence[str],
        budget: float,
        *,
        rng: random.Random,
        progress: Callable[[str], None],
        run: Runner,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._bundle = bundle
        self._manifest = manifest
        self._objective = objective
        self._budget = budget
        self._rng = rng
        self._progress = progress
        self._run_job = run
        self._clock = clock
        self._start = clock()
        self._dropped: list[_Standing] = []
        self._refused: list[Refused] = []
        self._expected: dict[Hashable, Answer] = {}
        self._samples: list[list[int]] = []
        self.texts = list(texts)

    @property
    def seconds(self) -> float:
        """How long the search has taken so far."""
        return self._clock() - self._start

    @property
    def refused(self) -> tuple[Refused, ...]:
        """What failed, or answered wrongly."""
        return tuple(self._refused)

    def answer(self, references: Sequence[Configuration]) -> Configuration:
        """Has texts answered by the first of the references that runs; afterwards ``texts`` are those alone.

        Raises:
            SelectionError: none runs.
            InputError: the budget is too short.
        """
        for reference in references:
            self._progress(f"reference: {reference}")
            share = _REFERENCE_SHARE * self._budget
            job = Job(self._bundle, reference, "", self.texts, seconds=share, least=_LEAST_TEXTS)
            result = self._run_job(job, self._left)
            if isinstance(result, OutOfTime):
                raise InputError(
                    f"A budget of {self._budget:g} s is too short: {reference} did not answer {_LEAST_TEXTS} texts in "
                    "it.",
                    hint="Give a minute or more.",
                )
            if isinstance(result, Trial):
                self._expected = dict(enumerate(result.answers))
                self.texts = self.texts[: len(result.answers)]
                self._reference = reference
                return reference
            self._refuse(reference, result.reason)
        raise self._nothing()

    def rank(self, configurations: Sequence[Configuration]) -> tuple[Entry, ...]:
        """Measures the configurations; the entries of those that answer rightly, best first.

        Raises:
            SelectionError: none does.
            InputError: the budget is too short to measure each once.
        """
        known = {one.configuration.artifact for one in self._refused}
        standings = [_Standing(one) for one in configurations if one.artifact not in known]
        least = min(FIRST_TEXTS[self._objective], len(self.texts))
        standings = self._ordered(self._steady(self._first(standings, least)))
        number = 0
        while len(standings) > 2 or (len(standings) == 2 and not number):
            number += 1
            size, rung = self._plan(standings, number, least)
            if rung is None:
                break
            kept, lost = standings[:size], standings[size:]
            if not self._again(kept, f"rung {number + 1}", rung.rounds, rung.texts):
                break
            self._dropped = lost + self._dropped
            standings = self._ordered(self._steady(kept))
        refused = {one.configuration for one in self._refused}  # some while a rung was cut short
        ranked = [one for one in standings + self._dropped if one.configuration not in refused]
        ranked = self._settled(ranked)
        if not ranked:
            raise self._nothing()
        return tuple(map(self._entry, ranked))

    @property
    def _left(self) -> float:
        return self._budget - self.seconds

    def _plan(self, standings: Sequence[_Standing], number: int, least: int) -> tuple[int, Rung | None]:
        """How many of the best go on, and how: half of them, or fewer where there is not the time for half."""
        sizes = rung_sizes(len(standings))
        for place, size in enumerate(sizes):
            costs = [one.cost for one in standings[:size]]
            seconds = _USED * self._left / (len(sizes) - place)
            rung = plan_rung(costs, seconds, number=number, least=least, most=len(self.texts))
            if rung is not None:
                return size, rung
        return 0, None

    def _first(self, standings: list[_Standing], count: int) -> list[_Standing]:
        self._draw(count)
        before = self.seconds
        queue = self._rng.sample(standings, len(standings))
        for done, standing in enumerate(queue):
            result = self._run("rung 1", standing)
            if isinstance(result, OutOfTime):
                raise self._too_short(done, len(queue), before)
            if isinstance(result, Failure):
                self._refuse(standing.configuration, result.reason)
            else:
                standing.trials = [result]
        return self._right(standings)

    def _again(self, standings: list[_Standing], name: str, rounds: int, count: int) -> bool:
        """Measures each once more per round; whether there was the time for one round."""
        trials: dict[Configuration, list[Trial]] = {one.configuration: [] for one in standings}
        complete = 0
        for _ in range(rounds):
            self._draw(count)
            out_of_time = False
            for standing in self._rng.sample(standings, len(standings)):
                if standing.configuration not in trials:
                    continue
                result = self._run(name, standing)
                if isinstance(result, OutOfTime):
                    out_of_time = True
                    break
                if isinstance(result, Failure):
                    self._refuse(standing.configuration, result.reason)
                    del trials[standing.configuration]
                    continue
                trials[standing.configuration].append(result)
            if out_of_time:
                break
            complete += 1
        for standing in standings:
            if complete and standing.configuration in trials:
                standing.trials = trials[standing.configuration][:complete]
        standings[:] = self._right([one for one in standings if one.configuration in trials])
        return complete > 0

    def _draw(self, count: int) -> None:
        self._samples.append(self._rng.sample(range(len(self.texts)), count))

    def _run(self, name: str, standing: _Standing, sample: int = -1) -> Trial | Failure | OutOfTime:
        """Has a configuration answer a sample of the texts, by default the last one, in a process of its own."""
        self._progress(f"{name}: {standing.configuration} ({max(self._left, 0):.0f} s left)")
        number = sample % len(self._samples)
        indices = self._samples[number]
        texts = [self.texts[index] for index in indices]
        result = self._run_job(Job(self._bundle, standing.configuration, self._objective, texts), self._left)
        if isinstance(result, Trial):
            standing.answers |= dict(zip(indices, result.answers, strict=True))
            standing.given |= {(number, place): answer for place, answer in enumerate(result.answers)}
            standing.sample = number
        return result

    def _right(self, standings: Sequence[_Standing]) -> list[_Standing]:
        """Those whose answers are the reference's."""
        kept = []
        for standing in standings:
            if not standing.trials:
                continue
            reason = why_wrong(
                compare(standing.answers, self._expected),
                self._manifest.artifact(standing.configuration.artifact),
                self._manifest.artifact(self._reference.artifact),
                cascade=self._manifest.cascade is not None,
            )
            if reason:
                self._refuse(standing.configuration, reason)
            else:
                kept.append(standing)
        return kept

    def _steady(self, standings: Sequence[_Standing]) -> list[_Standing]:
        """Those whose answers are the same with any number of threads and any buckets: as with the fewest threads."""
        kept: list[_Standing] = []
        for standing in standings:
            other = self._base(standing, [*standings, *self._dropped])
            if self._steady_with(standing, other):
                kept.append(standing)
        return kept

    def _steady_with(self, standing: _Standing, other: _Standing) -> bool:
        reason = why_unsteady(
            compare(standing.given, other.given),
            self._manifest.artifact(standing.configuration.artifact),
            str(other.configuration).partition(", ")[2],
        )
        if reason:
            self._refuse(standing.configuration, reason)
        return not reason

    def _base(self, standing: _Standing, among: Sequence[_Standing]) -> _Standing:
        """The same artifact with the fewest threads, and all of its buckets."""
        own = (one for one in among if one.configuration.artifact == standing.configuration.artifact)
        return min(own, key=lambda one: (len(one.configuration.buckets) > 0, one.configuration.threads))

    def _settled(self, ranked: list[_Standing]) -> list[_Standing]:
        """The ranking, when the first one answers as with the fewest threads on the last texts that it had, too."""
        while ranked:
            best = ranked[0]
            base = self._base(best, ranked)
            takes = base.cost.startup + len(self._samples[best.sample]) * base.cost.text
            if base is best or (best.sample, 0) in base.given or takes > self._left:
                return ranked
            if not isinstance(self._run("last check", base, best.sample), Trial) or self._steady_with(best, base):
                return ranked
            ranked = ranked[1:]
        return ranked

    def _ordered(self, standings: Sequence[_Standing]) -> list[_Standing]:
        higher = self._objective == "throughput"
        scores = [
            Score(
                1 / median(one.values) if higher else median(one.values), median(trial.text_ms for trial in one.trials)
            )
            for one in standings
        ]
        return [standings[index] for index in order(scores, by_memory=self._objective == "memory")]

    def _entry(self, standing: _Standing) -> Entry:
        values = standing.values
        return Entry(
            configuration=standing.configuration,
            value=float(f"{median(values):.6g}"),
            low=float(f"{min(values):.6g}"),
            high=float(f"{max(values):.6g}"),
            processes=len(values),
            texts=len(standing.trials[0].answers),
            checked=len(standing.answers.keys() & self._expected.keys()),
        )

    def _refuse(self, configuration: Configuration, reason: str) -> None:
        said = " ".join(reason.split())[:_MAX_REASON]
        # A path may hold bytes that are not UTF-8, and a backend may say anything.
        self._refused.append(Refused(configuration, "".join(one if one.isprintable() else "?" for one in said)))

    def _nothing(self) -> SelectionError:
        listing = "".join(f"\n  {one.configuration}: {one.reason}" for one in self._refused)
        return SelectionError(
            f"Nothing to rank: no artifact of {self._manifest.name} answers rightly here:{listing}\n",
            hint="Run `edgebert verify` on the bundle, and `edgebert doctor`.",
        )

    def _too_short(self, done: int, count: int, before: float) -> InputError:
        whole = before + (self.seconds - before) * count / max(done, 1)
        return InputError(
            f"A budget of {self._budget:g} s is too short: {done} of {count} configurations were measured in it; one "
            f"round of them takes about {whole:.0f} s here.",
            hint=f"Give at least {2 * whole:.0f} s, so that the best are measured again, or fewer numbers of threads.",
        )
