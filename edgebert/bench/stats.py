"""Figures that stand for many measurements, with their spread."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class Latency:
    """The distribution of one latency over all repetitions of all rounds, in milliseconds.

    ``count`` is the number of repetitions. Percentiles are interpolated linearly (``numpy.percentile``).
    ``round_p50`` holds the median of each round, in order: they agree unless the machine drifted.
    """

    count: int
    p5: float
    p50: float
    p95: float
    p99: float
    round_p50: tuple[float, ...]

    @property
    def drift(self) -> float:
        """How far the medians of the rounds lie apart, as a share of the overall median."""
        return (max(self.round_p50) - min(self.round_p50)) / self.p50

    @classmethod
    def of(cls, rounds: Sequence[Sequence[float]]) -> Latency:
        """Summarize ``rounds``, each the latencies in milliseconds that were measured in one process."""
        pooled = [value for values in rounds for value in values]
        p5, p50, p95, p99 = (float(value) for value in np.percentile(pooled, (5, 50, 95, 99)))
        return cls(len(pooled), p5, p50, p95, p99, tuple(float(np.median(values)) for values in rounds))


@dataclass(frozen=True, slots=True)
class Rounds:
    """A figure that each round gives once: the median, and all of them in order."""

    median: float
    values: tuple[float, ...]

    @property
    def drift(self) -> float:
        """How far the values lie apart, as a share of the median."""
        return (max(self.values) - min(self.values)) / self.median

    @classmethod
    def of(cls, values: Sequence[float]) -> Rounds:
        """Summarize one value per round."""
        return cls(float(np.median(values)), tuple(values))
