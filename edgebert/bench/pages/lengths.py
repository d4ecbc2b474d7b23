"""The plot of latency over length, with the interval of each median."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from edgebert.bench.pages.numbers import bounds, ms
from edgebert.bench.report import ArtifactResult
from edgebert.bench.stats import Latency
from edgebert.pages import plot, series

_WIDTH, _TOP, _HEIGHT = 460.0, 14.0, 270.0
_LEFT = 50.0
_ASIDE = 3.0
_BEYOND = 3.0
"""How far the axis follows an interval beyond the medians, as a factor."""


def lengths_plot(artifacts: Sequence[ArtifactResult]) -> str:
    """A line per measured artifact: p50 over the length, with a bar for its interval; both axes logarithmic.

    Returns:
        An ``<svg>`` element; an empty string where there is only one length, which is no line.
    """
    lines = [(a, a.measurements.latency_ms) for a in artifacts if a.measurements is not None]
    lengths = sorted({length for _, line in lines for length in line})
    if len(lengths) < 2:
        return ""
    right = _WIDTH - plot.CHARACTER * max(len(a.id) for a, _ in lines) - 22
    bottom = _TOP + max(_HEIGHT, plot.ROW * len(lines))
    margin = _ASIDE * len(lines) / 2
    ticks = {math.log2(length): str(length) for length in lengths}
    x = plot.Axis(min(ticks), max(ticks), _LEFT + 8 + margin, right - 4 - margin, ticks, "tokens in the input")
    medians = [latency.p50 for _, line in lines for latency in line.values()]
    reach = [value for _, line in lines for latency in line.values() for value in _reach(latency)]
    # Two rounds that disagree have an interval of decades, which would press all else together.
    low, high = max(min(reach), min(medians) / _BEYOND), min(max(reach), max(medians) * _BEYOND)
    y = plot.logarithmic(0.95 * low, 1.05 * high, bottom, _TOP, "p50 in ms (logarithmic)")
    parts = [plot.axes(x, y, left=_LEFT, right=right)]
    ends: dict[str, tuple[float, float]] = {}
    for number, (artifact, line) in enumerate(lines):
        aside = _ASIDE * (number - (len(lines) - 1) / 2)  # so that the bars of one length stand beside each other
        points = [
            (x(math.log2(length)) + aside, y(math.log10(latency.p50))) for length, latency in sorted(line.items())
        ]
        path = "L".join(f"{px:.1f} {py:.1f}" for px, py in points)
        parts.append(series.line(artifact.backend, artifact.precision, f"M{path}"))
        for (length, latency), (px, py) in zip(sorted(line.items()), points, strict=True):
            parts.append(_bar(latency, artifact.backend, px, y))
            says = f"{artifact.id}, {length} tokens: {ms(latency.p50)} ms"
            interval = bounds(latency.p50_interval)
            parts.append(series.marker(artifact.backend, px, py, 2.6, says=f"{says}, {interval}" if interval else says))
        ends[artifact.id] = points[-1]
    for label, height in plot.spread({label: py for label, (_, py) in ends.items()}, bottom).items():
        px, py = ends[label]
        parts.append(f'<path class="lead" d="M{px + 5:.1f} {py:.1f}L{right + 15:.1f} {height:.1f}"/>')
        parts.append(plot.text(right + 18, height + 4, label))
    said = "; ".join(f"{artifact.id}: {_said(line)}" for artifact, line in lines)
    return plot.svg(_WIDTH, bottom + plot.BELOW, "Latency of each artifact over length", parts, description=said)


def _reach(latency: Latency) -> tuple[float, float]:
    interval = latency.p50_interval
    return (latency.p50, latency.p50) if interval is None else (interval.low, interval.high)


def _bar(latency: Latency, backend: str, px: float, y: plot.Axis) -> str:
    if latency.p50_interval is None:
        return ""
    interval = latency.p50_interval
    low, high = (min(max(math.log10(value), y.low), y.high) for value in (interval.low, interval.high))
    # A bar without its end goes on beyond the frame.
    top = "h6m-3 0" if high < y.high else "m3 0"
    end = "m-3 0h6" if low > y.low else ""
    return f'<path class="line {series.kind(backend)}" d="M{px - 3:.1f} {y(high):.1f}{top}V{y(low):.1f}{end}"/>'


def _said(line: Mapping[int, Latency]) -> str:
    return ", ".join(f"{ms(latency.p50)} ms for {length} tokens" for length, latency in sorted(line.items()))
