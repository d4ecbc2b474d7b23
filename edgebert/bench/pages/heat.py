"""The plot of heat: the hottest sensor and the clock, before and after each artifact of each round, in their order."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from edgebert.bench.report import BenchmarkReport, ThermalRound, ThermalState
from edgebert.pages import plot
from edgebert.pages.text import escape

_WIDTH, _LEFT, _TOP, _BOTTOM, _RIGHT = 460.0, 50.0, 14.0, 200.0, 450.0

_Step = tuple[str, ThermalRound]


def steps_of(report: BenchmarkReport) -> list[_Step]:
    """What was run, as ``"round 1, onnx-int8"``, and the heat before and after it, in the order of running."""
    rounds = {a.id: a.measurements.thermal for a in report.artifacts if a.measurements is not None}
    return [
        (f"round {number}, {artifact}", rounds[artifact][number - 1])
        for number, ids in enumerate(report.plan.order, start=1)
        for artifact in ids
        if number <= len(rounds.get(artifact, ()))
    ]


def temperature_plot(steps: Sequence[_Step]) -> str:
    """The hottest sensor; an empty string where there is none."""
    return _course(steps, lambda state: max(state.temperatures_c.values(), default=None), "°C", "Hottest sensor")


def clock_plot(steps: Sequence[_Step]) -> str:
    """The slowest group of CPUs; an empty string where no clock is told."""
    return _course(steps, lambda state: min(state.frequencies_mhz.values(), default=None), "MHz", "Slowest CPU clock")


def _course(steps: Sequence[_Step], read: Callable[[ThermalState], float | None], unit: str, what: str) -> str:
    found = [
        (name, before, after)
        for name, heat in steps
        if (before := read(heat.before)) is not None and (after := read(heat.after)) is not None
    ]
    if not found:
        return ""
    values = [value for _, before, after in found for value in (before, after)]
    y = plot.linear(min(values), max(values), _BOTTOM, _TOP, unit)
    x = plot.Axis(0.0, float(len(found)), _LEFT, _RIGHT, {}, "measured one after another")
    parts = [plot.axes(x, y, left=_LEFT, right=_RIGHT)]
    line = "L".join(
        f"{x(index + 0.2):.1f} {y(before):.1f}L{x(index + 0.8):.1f} {y(after):.1f}"
        for index, (_, before, after) in enumerate(found)
    )
    parts.append(f'<path class="course" d="M{line}"/>')
    for index, (name, before, after) in enumerate(found):
        for place, value, when in ((0.2, before, "before"), (0.8, after, "after")):
            says = escape(f"{name}, {when}: {value:.0f} {unit}")
            parts.append(
                f'<circle class="mark" cx="{x(index + place):.1f}" cy="{y(value):.1f}" r="2.4"><title>{says}</title>'
                "</circle>"
            )
    said = f"From {min(values):.0f} to {max(values):.0f} {unit}; " + "; ".join(
        f"{name}: {before:.0f} before, {after:.0f} after" for name, before, after in found
    )
    return plot.svg(_WIDTH, _BOTTOM + plot.BELOW, f"{what} over the run", parts, description=said)
