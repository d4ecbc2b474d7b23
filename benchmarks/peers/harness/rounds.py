"""What is measured of each peer, and in which order."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any, Protocol

from edgebert.errors import BackendError
from harness.texts import Texts

WARM_UP_TEXTS = 16
"""Answered before the clock runs in every turn: the process was stopped, and others have used the caches."""

SERVED_TEXTS = 100
"""Answered one by one, after the first, by the process whose peak memory is taken."""

TRIAL_TEXTS = 128
"""Answered with each batch size that a peer offers, to find the fastest."""


class Client(Protocol):
    """What this module needs of :class:`harness.client.Worker`."""

    started: float

    def ask(self, job: dict[str, Any]) -> dict[str, Any]:
        """The answer to one job."""

    def pause(self) -> None:
        """Stop it."""

    def resume(self) -> None:
        """Let it go on."""

    def cpu_seconds(self) -> float | None:
        """Processor time so far."""

    def close(self) -> None:
        """End it."""


@dataclass(slots=True)
class Measured:
    """What was measured of one peer.

    Attributes:
        first_answer_ms: of each fresh process, from its start to the answer to one text.
        peak_rss_bytes: of each fresh process, after answering ``SERVED_TEXTS`` more, batch 1; ``None`` if unknown.
        facts: what the peer says of itself.
        trials: texts per second with each batch size that it offers.
        batch_size: the fastest of them.
        alone: the label of each text alone, of the first pass.
        unstable: texts that got another label alone in a later pass.
        each_ms: of each round, the latency of each text.
        bulk_seconds: of each round.
        bulk_labels: of each round, all labels; the texts as often as they were repeated.
        idle_cpu_seconds: processor time that it took while others worked.
    """

    first_answer_ms: list[float] = field(default_factory=list)
    peak_rss_bytes: list[int | None] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)
    trials: dict[int, float] = field(default_factory=dict)
    batch_size: int = 0
    alone: list[str] = field(default_factory=list)
    unstable: set[int] = field(default_factory=set)
    each_ms: list[list[float]] = field(default_factory=list)
    bulk_seconds: list[float] = field(default_factory=list)
    bulk_labels: list[list[str]] = field(default_factory=list)
    idle_cpu_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is measured.

    Attributes:
        rounds: how often every peer has its turn.
        starts: fresh processes per peer.
        repeat: how often the texts stand one after the other in bulk.
        seed: of the order of the peers.
    """

    rounds: int
    starts: int
    repeat: int
    seed: int = 0


class Bench:
    """Measures peers, one at a time; one that fails leaves, with its reason, and the others go on.

    Args:
        start: starts a worker of a peer.
        batch_sizes: the names of the peers, and what their bulk mode offers.
        texts: what they answer.
        plan: how much.
        report: told a line about each turn.
    """

    def __init__(
        self,
        start: Callable[[str], Client],
        batch_sizes: dict[str, Sequence[int]],
        texts: Texts,
        plan: Plan,
        report: Callable[[str], None],
    ) -> None:
        self._start = start
        self._batch_sizes = batch_sizes
        self._texts = texts
        self._plan = plan
        self._report = report
        self._order = random.Random(plan.seed)
        self._workers: dict[str, Client] = {}
        self.measured = {name: Measured() for name in batch_sizes}
        """What is known so far of the peers that have not failed."""
        self.failed: dict[str, str] = {}
        """Why a peer was not measured."""
        self.orders: list[list[str]] = []
        """The peers in the order of their turns, of each round."""

    def run(self) -> None:
        """Measure everything."""
        self._turns("start that does not count", self._start_once)  # brings files into the page cache, compiles modules
        for number in range(self._plan.starts):
            self._turns(f"start {number + 1} of {self._plan.starts}", self._first_answer)
        try:
            self._turns("first pass", self._open)
            for number in range(self._plan.rounds):
                self.orders.append(self._turns(f"round {number + 1} of {self._plan.rounds}", self._turn))
        finally:
            for worker in self._workers.values():
                worker.close()

    def _turns(self, what: str, turn: Callable[[str], None]) -> list[str]:
        """Give each peer its turn, in random order, while the others stand still."""
        order = self._order.sample(list(self.measured), len(self.measured))
        for name in order:
            self._report(f"{what}: {name}")
            others = {other: worker.cpu_seconds() for other, worker in self._workers.items() if other != name}
            try:
                turn(name)
            except BackendError as error:
                self.failed[name] = error.message
                del self.measured[name]
                if name in self._workers:
                    self._workers.pop(name).close()
            for other, before in others.items():
                after = self._workers[other].cpu_seconds()
                if before is not None and after is not None:
                    self.measured[other].idle_cpu_seconds += after - before
        return order

    def _start_once(self, name: str) -> None:
        worker = self._start(name)
        try:
            worker.ask({"do": "each", "texts": self._texts.texts[:1]})
        finally:
            worker.close()

    def _first_answer(self, name: str) -> None:
        worker = self._start(name)
        try:
            worker.ask({"do": "each", "texts": self._texts.texts[:1]})
            self.measured[name].first_answer_ms.append((perf_counter() - worker.started) * 1000)
            worker.ask({"do": "each", "texts": self._texts.texts[1 : 1 + SERVED_TEXTS]})
            self.measured[name].peak_rss_bytes.append(worker.ask({"do": "facts"})["peak_rss_bytes"])
        finally:
            worker.close()

    def _open(self, name: str) -> None:
        """Start the worker that stays; every shape is met once; find the best batch size."""
        found = self.measured[name]
        worker = self._workers[name] = self._start(name)
        found.alone = worker.ask({"do": "each", "texts": self._texts.texts})["labels"]
        texts = self._texts.texts[:TRIAL_TEXTS]
        for size in self._batch_sizes[name]:
            job = {"do": "bulk", "texts": texts, "batch_size": size}
            worker.ask(job)
            found.trials[size] = len(texts) / worker.ask(job)["seconds"]
        found.batch_size = max(found.trials, key=lambda size: found.trials[size])
        worker.ask({"do": "bulk", "texts": self._texts.texts, "batch_size": found.batch_size})
        found.facts = worker.ask({"do": "facts"})["facts"]
        worker.pause()

    def _turn(self, name: str) -> None:
        found, worker, texts = self.measured[name], self._workers[name], self._texts.texts
        worker.resume()
        worker.ask({"do": "each", "texts": self._texts.spread(WARM_UP_TEXTS)})
        each = worker.ask({"do": "each", "texts": texts})
        bulk = worker.ask({"do": "bulk", "texts": texts * self._plan.repeat, "batch_size": found.batch_size})
        worker.pause()
        found.each_ms.append(each["ms"])
        found.unstable |= {
            place
            for place, (label, first) in enumerate(zip(each["labels"], found.alone, strict=True))
            if label != first
        }
        found.bulk_seconds.append(bulk["seconds"])
        found.bulk_labels.append(bulk["labels"])
