"""How a time budget goes to the best: sequential halving.

Karnin, Koren and Somekh 2013, "Almost optimal exploration in multi-armed bandits" (ICML); as successive halving in
Jamieson and Talwalkar 2016, arXiv 1502.07943.

Everything is measured once; then the better half again, in an equal part of what is left of the time, and so on until
two are left. It supposes nothing of how the figures are spread. Here a measurement also costs a process that starts
and loads, so that the parts are divided into processes and texts, the two last meet in several processes each, and
where a part is too short to measure half once, fewer go on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

FIRST_TEXTS = {"latency": 12, "throughput": 32, "memory": 12, "energy": 12}
"""Texts per process in the first rung, and at least in the others; a stream needs some to make batches of."""

_ROUNDS = 3
"""Processes per configuration in the last rungs, where the time allows."""

_MAX_ROUNDS = 5
"""More tell nothing new; the rest of the time is given back."""

_ALIKE = 0.02
"""Peaks of memory that are so close are one: the faster one then comes first."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What one process takes, in seconds: to start and load, and for each text."""

    startup: float
    text: float


@dataclass(frozen=True, slots=True)
class Rung:
    """How the survivors are measured: processes per configuration, and texts per process."""

    rounds: int
    texts: int


@dataclass(frozen=True, slots=True)
class Score:
    """A figure as what is compared: ``cost`` is better when lower; ``text_ms`` decides between equal memory."""

    cost: float
    text_ms: float


def rung_sizes(count: int) -> list[int]:
    """How many are measured in each rung after the first, of ``count`` in the first: halves, down to two."""
    sizes: list[int] = []
    while count > 1 and (not sizes or count > 2):
        count = max(2, -(-count // 2))
        sizes.append(count)
    return sizes


def plan_rung(costs: Sequence[Cost], seconds: float, *, number: int, least: int, most: int) -> Rung | None:
    """How to spend some time on the configurations that are left.

    Args:
        costs: of each of them.
        seconds: the time for this rung.
        number: which rung this is, 1 for that after the first.
        least: how many texts a process has to answer so that its figure counts.
        most: how many texts there are, at least ``least``.

    Returns:
        ``None`` when there is not the time to measure each once.
    """
    startup, text = sum(cost.startup for cost in costs), sum(cost.text for cost in costs)
    rounds = min(number + 1, _ROUNDS)
    whole = int(seconds / (startup + most * text))
    if whole >= rounds:
        return Rung(min(whole, _MAX_ROUNDS), most)
    for fewer in range(rounds, 0, -1):
        texts = int((seconds / fewer - startup) / text)
        if texts >= least:
            return Rung(fewer, min(texts, most))
    return None


def order(scores: Sequence[Score], *, by_memory: bool) -> list[int]:
    """The indices of scores, best first."""
    indices = sorted(range(len(scores)), key=lambda index: (scores[index].cost, scores[index].text_ms))
    if not by_memory:
        return indices
    ordered: list[int] = []
    while indices:
        limit = scores[indices[0]].cost * (1 + _ALIKE)
        group = [index for index in indices if scores[index].cost <= limit]
        ordered += sorted(group, key=lambda index: scores[index].text_ms)
        indices = indices[len(group) :]
    return ordered
