"""Plots with one row per artifact: its id on the left, and something drawn along one axis."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from edgebert.pages import plot

WIDTH = 460.0
_RIGHT = WIDTH - 14.0
_TOP = 8.0


def span(labels: Sequence[str]) -> tuple[float, float]:
    """Where the axis begins and ends, beside these labels."""
    return plot.CHARACTER * max(map(len, labels)) + 12, _RIGHT


def middle(index: int, height: float) -> float:
    """The middle of a row, from the top."""
    return _TOP + (index + 0.5) * height


def chart(rows: Mapping[str, Sequence[str]], axis: plot.Axis, height: float, title: str, *, description: str) -> str:
    """The ``<svg>`` element.

    Args:
        rows: by label, what is drawn in the row.
        axis: along the rows, over the pixels that :func:`span` gives.
        height: of a row.
        title: what a screen reader calls it.
        description: its contents in words.
    """
    bottom = _TOP + height * len(rows)
    left, right = axis.start, axis.end
    parts = [f'<path class="grid" d="M{axis(tick):.1f} {_TOP}V{bottom:.1f}"/>' for tick in axis.ticks]
    written = -plot.CHARACTER
    for tick, label in axis.ticks.items():
        half = len(label) * plot.CHARACTER / 2
        if axis(tick) - half > written + 4:  # ticks of a logarithm crowd at its upper end
            parts.append(plot.text(axis(tick), bottom + 15, label, anchor="middle"))
            written = axis(tick) + half
    parts.append(f'<path class="axis" d="M{left:.1f} {bottom:.1f}H{right:.1f}"/>')
    parts.append(plot.text((left + right) / 2, bottom + 33, axis.title, anchor="middle"))
    for index, (label, drawn) in enumerate(rows.items()):
        parts.append(plot.text(left - 7, middle(index, height) + 4, label, anchor="end"))
        parts += drawn
    return plot.svg(WIDTH, bottom + plot.BELOW, title, parts, description=description)
