"""The plot of single measurements: how the latencies of each artifact are distributed, for one length."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from edgebert.bench.pages import rows
from edgebert.bench.pages.numbers import ms, percentiles
from edgebert.bench.stats import Latency
from edgebert.pages import plot, series

_ROW = 46.0
_HILL = 26.0
"""Height of a density at its highest."""
_STEPS = 80


def distribution_plot(latencies: Mapping[str, Latency], backends: Mapping[str, str], title: str) -> str:
    """One row per artifact: the density of its samples, and below it the quartiles, percentiles and rounds.

    Args:
        latencies: by artifact.
        backends: of each artifact.
        title: what a screen reader calls it.

    Returns:
        An ``<svg>`` element.
    """
    samples = {label: _pooled(latency) for label, latency in latencies.items()}
    start, end = rows.span(list(latencies))
    # One pause of the system may be ten times the rest and would press all of it together.
    highest = min(max(s.max() for s in samples.values()), 2 * max(latency.p99 for latency in latencies.values()))
    axis = plot.logarithmic(
        0.93 * min(s.min() for s in samples.values()), 1.02 * highest, start, end - 10, "ms (logarithmic)"
    )
    drawn = {
        label: _row(latency, samples[label], axis, backends[label], rows.middle(index, _ROW))
        for index, (label, latency) in enumerate(latencies.items())
    }
    said = "; ".join(f"{label}: {percentiles(latency)}" for label, latency in latencies.items())
    return rows.chart(drawn, axis, _ROW, title, description=said)


def _pooled(latency: Latency) -> npt.NDArray[np.float64]:
    return np.asarray([value for values in latency.samples_ms for value in values], float)


def _row(latency: Latency, samples: npt.NDArray[np.float64], axis: plot.Axis, backend: str, middle: float) -> list[str]:
    base = middle + 6

    def x(value: float) -> float:
        return axis(min(max(math.log10(value), axis.low), axis.high))

    parts = [f'<path class="hill {series.kind(backend)}" d="{_outline(samples, axis, base)}"/>']
    parts += [f'<path class="tick" d="M{x(value):.1f} {base:.1f}v{size}"/>' for value, size in _ticks(latency)]
    parts.append(
        f'<path class="box {series.kind(backend)}" d="M{x(latency.p25):.1f} {base + 5:.1f}H{x(latency.p75):.1f}"/>'
    )
    for number, value in enumerate(latency.round_p50, start=1):
        says = f"<title>round {number}: p50 {ms(value)} ms</title>"
        parts.append(f'<circle class="round" cx="{x(value):.1f}" cy="{base + 14:.1f}" r="1.8">{says}</circle>')
    parts.append(series.marker(backend, x(latency.p50), base + 5, 3.2, says=percentiles(latency)))
    beyond = int((np.log10(samples) > axis.high).sum())
    if beyond:
        parts.append(plot.text(axis.end + 10, base - 3, f"{beyond} →", anchor="end"))
    return parts


def _ticks(latency: Latency) -> list[tuple[float, int]]:
    return [(latency.p5, 6), (latency.p95, 6), (latency.p99, 9)]


def _outline(samples: npt.NDArray[np.float64], axis: plot.Axis, base: float) -> str:
    """The density of the logarithms: Gaussian kernels, Silverman's bandwidth (1986, eq. 3.31); all equally high."""
    logs = np.log10(samples)
    spread = min(float(logs.std()), float(np.subtract(*np.percentile(logs, (75, 25)))) / 1.34)
    bandwidth = max(0.9 * spread * len(logs) ** -0.2, (axis.high - axis.low) / 200)
    low, high = max(axis.low, logs.min() - 3 * bandwidth), min(axis.high, logs.max() + 3 * bandwidth)
    # As many steps as the narrowest hill needs to be round.
    at = np.linspace(low, high, int(min(max(_STEPS, 3 * (high - low) / bandwidth), 400)))
    density = np.exp(-0.5 * ((at[:, None] - logs[None, :]) / bandwidth) ** 2).sum(axis=1)
    heights = base - _HILL * density / density.max()
    points = "L".join(f"{axis(float(place)):.1f} {height:.1f}" for place, height in zip(at, heights, strict=True))
    return f"M{axis(float(low)):.1f} {base:.1f}L{points}L{axis(float(high)):.1f} {base:.1f}Z"
