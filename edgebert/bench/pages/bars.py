"""The plots of what an artifact costs beside latency: start-up, memory, energy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from edgebert.bench.pages import rows
from edgebert.bench.report import ArtifactResult
from edgebert.pages import plot
from edgebert.pages.text import escape

_ROW = 26.0
_BAR = 15.0

START_UP = ("python", "import", "load", "first answer")
"""The parts of the start-up, in their order."""

MEMORY = ("of files", "anonymous", "more at the peak")
"""What a process holds at the end, and what it held beyond that."""


def start_up_plot(artifacts: Sequence[ArtifactResult]) -> str:
    """A bar per measured artifact, of the four parts; an empty string when there is none."""
    parts = {
        a.id: [
            rounds.median
            for rounds in (
                a.measurements.interpreter_ms,
                a.measurements.import_ms,
                a.measurements.load_ms,
                a.measurements.first_answer_ms,
            )
        ]
        for a in artifacts
        if a.measurements is not None
    }
    return _stacked(parts, START_UP, "ms", "Start-up of each artifact by parts")


def memory_plot(artifacts: Sequence[ArtifactResult]) -> str:
    """A bar per artifact whose memory is known: pages of files, its own, and how much more it once held."""
    parts = {}
    for a in artifacts:
        measured = a.measurements
        if measured is None or measured.peak_rss_bytes is None:
            continue
        held = measured.resident
        files, own = (0, 0) if held is None else (held.file_bytes, held.anonymous_bytes)
        more = max(measured.peak_rss_bytes - files - own, 0)
        parts[a.id] = [size / 1e6 for size in (files, own, more)]
    return _stacked(parts, MEMORY, "MB", "Resident memory of each artifact by kinds")


def energy_plot(artifacts: Sequence[ArtifactResult]) -> str:
    """A bar per artifact whose energy was measured, at batch 1."""
    parts = {
        a.id: [1000 * a.measurements.energy.joules_per_inference.median]
        for a in artifacts
        if a.measurements is not None and a.measurements.energy is not None
    }
    return _stacked(parts, ("energy",), "mJ per inference", "Energy of one inference of each artifact")


def _stacked(parts: Mapping[str, Sequence[float]], names: Sequence[str], unit: str, title: str) -> str:
    if not parts or not any(map(sum, parts.values())):
        return ""
    start, end = rows.span(list(parts))
    axis = plot.linear(0.0, max(map(sum, parts.values())), start, end - 34, unit)
    drawn: dict[str, list[str]] = {}
    for index, (label, values) in enumerate(parts.items()):
        top = rows.middle(index, _ROW) - _BAR / 2
        total = 0.0
        drawn[label] = []
        for number, (name, value) in enumerate(zip(names, values, strict=True), start=1):
            left, right = axis(total), axis(total + value)
            says = escape(f"{label}, {name}: {_written(value)} {unit}")
            drawn[label].append(
                f'<path class="part part{number}" d="M{left:.1f} {top:.1f}H{right:.1f}v{_BAR}H{left:.1f}Z">'
                f"<title>{says}</title></path>"
            )
            total += value
        drawn[label].append(plot.text(axis(total) + 4, top + _BAR - 3, _written(total)))
    said = "; ".join(
        f"{label}: {', '.join(f'{name} {_written(value)}' for name, value in zip(names, values, strict=True))} {unit}"
        for label, values in parts.items()
    )
    return rows.chart(drawn, axis, _ROW, title, description=said)


def _written(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:.2g}"
