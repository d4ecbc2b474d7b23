"""Figures that stand for many measurements, with their spread and what they are sure to.

Samples of one process resemble each other more than those of two: where a process puts its memory, and on which core it
begins, stays for its life. So the unit of an interval is the round, which is a process, and not the single sample, as
in T. Kalibera and R. Jones, "Rigorous Benchmarking in Reasonable Time", ISMM 2013; and its width follows from how far
the rounds lie apart, by Student's t, as in A. Georges, D. Buytaert and L. Eeckhout, "Statistically Rigorous Java
Performance Evaluation", OOPSLA 2007.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

CONFIDENCE = 0.95
"""Of all intervals."""


@dataclass(frozen=True, slots=True)
class Interval:
    """From ``low`` to ``high`` lies the median, with a confidence of :data:`CONFIDENCE`."""

    low: float
    high: float

    def share_of(self, value: float) -> float:
        """Half its width as a share of ``value``: what stands behind a plus-minus."""
        return (self.high - self.low) / 2 / value


@dataclass(frozen=True, slots=True)
class Latency:
    """The distribution of one latency over all repetitions of all rounds, in milliseconds.

    Percentiles are over all samples, interpolated linearly (``numpy.percentile``).

    Attributes:
        count: the number of samples.
        p5: 5th percentile; likewise ``p25`` to ``p99``.
        p50: the median.
        p50_interval: where the median lies, see :func:`median_interval`; ``None`` with a single round, which does not
            tell how processes differ.
        round_p50: the median of each round, in order: they agree unless the machine drifted.
        samples_ms: every sample, a list per round, in the order of measuring.
    """

    count: int
    p5: float
    p25: float
    p50: float
    p75: float
    p90: float
    p95: float
    p99: float
    p50_interval: Interval | None
    round_p50: tuple[float, ...]
    samples_ms: tuple[tuple[float, ...], ...]

    @property
    def drift(self) -> float:
        """How far the medians of the rounds lie apart, as a share of the overall median."""
        return (max(self.round_p50) - min(self.round_p50)) / self.p50

    @property
    def precision(self) -> float | None:
        """Half the width of the median's interval as a share of the median; ``None`` where there is no interval."""
        return None if self.p50_interval is None else self.p50_interval.share_of(self.p50)

    @classmethod
    def of(cls, rounds: Sequence[Sequence[float]]) -> Latency:
        """Summarize ``rounds``, each the latencies in milliseconds that were measured in one process."""
        pooled = [value for values in rounds for value in values]
        p5, p25, p50, p75, p90, p95, p99 = (
            float(value) for value in np.percentile(pooled, (5, 25, 50, 75, 90, 95, 99))
        )
        medians = tuple(float(np.median(values)) for values in rounds)
        return cls(
            count=len(pooled),
            p5=p5,
            p25=p25,
            p50=p50,
            p75=p75,
            p90=p90,
            p95=p95,
            p99=p99,
            p50_interval=median_interval(p50, medians),
            round_p50=medians,
            samples_ms=tuple(tuple(values) for values in rounds),
        )


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


def median_interval(p50: float, round_p50: Sequence[float]) -> Interval | None:
    """Where the median of rounds yet to come lies, from the medians of those that were made.

    A t interval of the logarithms, so that it cannot reach below 0 and a factor counts alike in both directions;
    widened to hold ``p50``, the median of all samples together.

    Args:
        p50: the median of all samples, above 0.
        round_p50: the median of each round, above 0.

    Returns:
        The interval; ``None`` for a single round.
    """
    n = len(round_p50)
    if n < 2:
        return None
    logs = np.log(round_p50)
    centre = float(logs.mean())
    half = t_quantile((1 + CONFIDENCE) / 2, n - 1) * float(logs.std(ddof=1)) / math.sqrt(n)
    return Interval(min(math.exp(centre - half), p50), max(math.exp(centre + half), p50))


def proportion_interval(hits: int, count: int) -> Interval:
    """Where a share lies of which ``hits`` of ``count`` were seen: E. B. Wilson's score interval (JASA 22, 1927)."""
    z = 1.959963984540054  # of the normal distribution at (1 + CONFIDENCE) / 2
    share = hits / count
    centre = (share + z * z / (2 * count)) / (1 + z * z / count)
    half = z / (1 + z * z / count) * math.sqrt(share * (1 - share) / count + z * z / (4 * count * count))
    # Where all or none were seen the bound is the share itself, which rounding may miss.
    return Interval(max(0.0, min(centre - half, share)), min(1.0, max(centre + half, share)))


def t_quantile(probability: float, freedom: int) -> float:
    """The value that Student's t with ``freedom`` degrees of freedom stays below with ``probability`` (above 0.5).

    By bisection of the distribution function, which is a finite sum: M. Abramowitz and I. A. Stegun, "Handbook of
    Mathematical Functions", 26.7.3 and 26.7.4.
    """
    low, high = 0.0, 1.0
    while _t_within(high, freedom) < 2 * probability - 1:
        high *= 2
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if _t_within(middle, freedom) < 2 * probability - 1 else (low, middle)
    return (low + high) / 2


def _t_within(t: float, freedom: int) -> float:
    """The probability that \\|Student's t\\| is below ``t``."""
    angle = math.atan(t / math.sqrt(freedom))
    sine, cosine = math.sin(angle), math.cos(angle)
    odd = freedom % 2
    term, total = (cosine, cosine if freedom > 1 else 0.0) if odd else (1.0, 1.0)
    for k in range(2 + odd, freedom - 1, 2):
        term *= cosine * cosine * (k - 1) / k
        total += term
    return 2 / math.pi * (angle + sine * total) if odd else sine * total
