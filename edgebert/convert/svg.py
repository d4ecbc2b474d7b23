"""The two plots of ``evidence.html``: every line and point carries its artifact's id."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from edgebert.convert.evidence import Measurement
from edgebert.convert.report import Outcome
from edgebert.pages import plot, series

_WIDTH = 460
_LEFT, _TOP = 50, 14
_HEIGHT = 250.0


def difference_plot(artifacts: Sequence[Outcome]) -> str:
    """Largest |output difference| of the probes over their length, both logarithmic, one line per measured artifact.

    Returns:
        An ``<svg>`` element; an empty string when no artifact was probed.
    """
    lines = {a.id: _worst_per_length(a.measurement) for a in artifacts if a.measurement and a.measurement.probes}
    if not lines:
        return ""
    bottom = _TOP + max(_HEIGHT, plot.ROW * len(lines))
    right = _WIDTH - plot.CHARACTER * max(map(len, lines)) - 22
    x = _lengths([length for line in lines.values() for length in line], right)
    y = _decades([difference for line in lines.values() for difference in line.values()], bottom)
    parts = [plot.axes(x, y, left=_LEFT, right=right)]
    ends: dict[str, tuple[float, float]] = {}
    for outcome in artifacts:
        if outcome.id not in lines:
            continue
        values = sorted(lines[outcome.id].items())
        points = [(x(math.log2(length)), y(_log10(difference, y.low))) for length, difference in values]
        path = "L".join(f"{px:.1f} {py:.1f}" for px, py in points)
        parts.append(series.line(outcome.backend, outcome.precision, f"M{path}"))
        parts += [series.marker(outcome.backend, px, py, 2.2) for px, py in points]
        ends[outcome.id] = points[-1]
    for label, height in plot.spread({label: py for label, (_, py) in ends.items()}, bottom).items():
        px, py = ends[label]
        parts.append(f'<path class="lead" d="M{px + 4:.1f} {py:.1f}L{right + 15:.1f} {height:.1f}"/>')
        parts.append(plot.text(right + 18, height + 4, label))
    title = "Largest output difference of each artifact over input length"
    return plot.svg(_WIDTH, bottom + plot.BELOW, title, parts)


def size_plot(
    artifacts: Sequence[Outcome],
    name: str,
    quality: Callable[[Measurement], float | None],
    reference: float | None,
) -> str:
    """A quality of each measured artifact over its size.

    Args:
        artifacts: which; those without a size or the quality are left out.
        name: what the axis is called, e.g. ``"accuracy, %"``.
        quality: the quality of an artifact, in the unit that ``name`` says.
        reference: the float32 checkpoint's value, drawn as a line; ``None`` for no line.

    Returns:
        An ``<svg>`` element; an empty string when there is no point to draw.
    """
    values = {
        a.id: (a.bytes / 1e6, value)
        for a in artifacts
        if a.bytes is not None and a.measurement and (value := quality(a.measurement)) is not None
    }
    if not values:
        return ""
    bottom = _TOP + max(_HEIGHT, plot.ROW * (len(values) + 1))
    right = _WIDTH - 10.0
    heights = [value for _, value in values.values()] + ([] if reference is None else [reference])
    last = right - plot.CHARACTER * max(map(len, values)) - 12
    x = plot.linear(0.0, max(size for size, _ in values.values()), _LEFT, last, "size in MB")
    y = plot.linear(min(heights), max(heights), bottom, _TOP, name)
    parts = [plot.axes(x, y, left=_LEFT, right=right)]
    points = {label: (x(size), y(value)) for label, (size, value) in values.items()}
    taken: list[plot.Box] = [(px - 5, py - 5, px + 5, py + 5) for px, py in points.values()]
    if reference is not None:
        height = y(reference)
        parts.append(f'<path class="reference" d="M{_LEFT} {height:.1f}H{right:.1f}"/>')
        parts.append(plot.text(_LEFT + 5, height - 4, "float32 checkpoint"))
        taken += [
            (_LEFT, height - plot.ROW, _LEFT + 5 + 18 * plot.CHARACTER, height),
            (_LEFT, height - 1, right, height + 1),
        ]
    shown = [outcome for outcome in artifacts if outcome.id in points]
    for outcome in sorted(shown, key=lambda a: points[a.id][::-1]):
        parts.append(series.marker(outcome.backend, *points[outcome.id], 4.5))
        parts.append(plot.beside(outcome.id, *points[outcome.id], taken, (_LEFT, 0, right, bottom)))
    return plot.svg(_WIDTH, bottom + plot.BELOW, f"{name} of each artifact over its size", parts)


def _worst_per_length(measurement: Measurement) -> dict[int, float]:
    worst: dict[int, float] = {}
    for probe in measurement.probes:
        worst[probe.length] = max(probe.max_abs_diff, worst.get(probe.length, 0.0))
    return worst


def _log10(value: float, least: float) -> float:
    return max(math.log10(value), least) if value > 0 else least


def _lengths(values: Sequence[int], right: float) -> plot.Axis:
    low, high = math.log2(min(values)), math.log2(max(values))
    ticks = {float(n): str(2**n) for n in range(math.ceil(low), math.floor(high) + 1)}
    return plot.Axis(low, max(high, low + 1), _LEFT + 8, right - 4, ticks, "tokens in the input")


def _decades(values: Sequence[float], bottom: float) -> plot.Axis:
    """Whole powers of ten around the positive values; zeros go to the lowest."""
    logarithms = [math.log10(value) for value in values if value > 0] or [-7.0]
    low, high = math.floor(min(logarithms)), math.ceil(max(logarithms))
    high = max(high, low + 1)
    step = 1 + (high - low) // 10
    ticks = {float(n): f"1e{n}" if n else "1" for n in range(low, high + 1, step)}
    return plot.Axis(low, high, bottom, _TOP, ticks, "max |output difference|")
