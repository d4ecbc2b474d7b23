"""A plot of the metric over what a point costs, as inline SVG that reads without colour, script or other files.

Points that no other beats are filled and joined by a line; every point carries its name.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from edgebert.convert.html_text import escape

_WIDTH, _BOTTOM, _BELOW = 560.0, 320.0, 40
_LEFT, _TOP, _RIGHT = 54.0, 14.0, 550.0
_ROW, _CHARACTER = 13.0, 6.4
"""Height of a label, and the width of a character of it, rounded up: browsers choose the font."""

_Box = tuple[float, float, float, float]


def scatter(points: Mapping[str, tuple[float, float]], kept: Sequence[str], *, x: str, y: str, whole: str) -> str:
    """The points, with those that no other beats joined.

    Args:
        points: by name, what each costs and its metric, in the units of the axes.
        kept: names of those that no other beats, the cheapest first.
        x: the title of the axis of costs, which begins at 0.
        y: the title of the axis of the metric.
        whole: the name of the checkpoint, at whose metric a line is drawn.

    Returns:
        An ``<svg>`` element; an empty string when there is no point.
    """
    if not points:
        return ""
    costs, values = zip(*points.values(), strict=True)
    x_ticks, y_ticks = _ticks(0.0, max(costs)), _ticks(min(values), max(values))
    places = {
        name: (_scaled(cost, x_ticks, _LEFT, _RIGHT - 20), _scaled(value, y_ticks, _BOTTOM, _TOP))
        for name, (cost, value) in points.items()
    }
    parts = [_axes(x_ticks, y_ticks, x, y)]
    taken: list[_Box] = [(px - 6, py - 6, px + 6, py + 6) for px, py in places.values()]
    if whole in places:
        height = places[whole][1]
        parts.append(f'<path class="reference" d="M{_LEFT} {height:.1f}H{_RIGHT}"/>')
    line = [places[name] for name in kept if name in places]
    if len(line) > 1:
        # A step: between two points nothing better than the cheaper one is known.
        steps = "".join(f"H{px:.1f}V{py:.1f}" for px, py in line[1:])
        parts.append(f'<path class="frontier" d="M{line[0][0]:.1f} {line[0][1]:.1f}{steps}"/>')
    for name, (px, py) in sorted(places.items(), key=lambda item: item[1][::-1]):
        shape = "kept" if name in kept else "beaten"
        parts.append(f'<circle class="{shape}" cx="{px:.1f}" cy="{py:.1f}" r="4.5"/>')
        parts.append(_label(name, px, py, taken))
    title = f"{y} over {x}, a point for each checkpoint"
    head = f'<svg viewBox="0 0 {_WIDTH:g} {_BOTTOM + _BELOW:g}" role="img" aria-label="{escape(title)}">'
    return f"{head}{''.join(parts)}</svg>"


def _scaled(value: float, ticks: Sequence[float], start: float, end: float) -> float:
    return start + (end - start) * (value - ticks[0]) / (ticks[-1] - ticks[0])


def _ticks(low: float, high: float) -> list[float]:
    """About five round values that enclose both."""
    span = max(high - low, 0.01 * max(abs(high), abs(low)), 1e-6)
    power = 10.0 ** math.floor(math.log10(span / 5))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= span / 5 * 0.999)
    first = math.floor(low / step + 1e-9)
    last = max(math.ceil(high / step - 1e-9), first + 1)
    return [number * step for number in range(first, last + 1)]


def _axes(x: Sequence[float], y: Sequence[float], x_title: str, y_title: str) -> str:
    parts = []
    for tick, label in _written(y):
        height = _scaled(tick, y, _BOTTOM, _TOP)
        parts.append(f'<path class="grid" d="M{_LEFT} {height:.1f}H{_RIGHT}"/>')
        parts.append(_text(_LEFT - 5, height + 4, label, "end"))
    for tick, label in _written(x):
        parts.append(_text(_scaled(tick, x, _LEFT, _RIGHT - 20), _BOTTOM + 15, label, "middle"))
    parts.append(f'<path class="axis" d="M{_LEFT} {_TOP}V{_BOTTOM}H{_RIGHT}"/>')
    parts.append(_text((_LEFT + _RIGHT) / 2, _BOTTOM + 33, x_title, "middle"))
    place = f"translate(11 {(_TOP + _BOTTOM) / 2:.1f}) rotate(-90)"
    return "".join(parts) + f'<text text-anchor="middle" transform="{place}">{escape(y_title)}</text>'


def _written(ticks: Sequence[float]) -> list[tuple[float, str]]:
    decimals = max(0, -math.floor(math.log10(ticks[1] - ticks[0]) + 1e-9))
    return [(tick, f"{tick:.{decimals}f}") for tick in ticks]


def _label(label: str, x: float, y: float, taken: list[_Box]) -> str:
    """A label on the nearest free place beside a point, with a lead where it is not level; adds it to ``taken``."""
    width = len(label) * _CHARACTER
    for shift in sorted((number * _ROW / 2 for number in range(-50, 51)), key=abs):
        for left in (x + 9, x - 9 - width):
            box = (left, y + shift - _ROW / 2, left + width, y + shift + _ROW / 2)
            if box[0] < _LEFT or box[2] > _WIDTH or box[1] < 0 or box[3] > _BOTTOM:
                continue
            if any(box[0] < o[2] and o[0] < box[2] and box[1] < o[3] and o[1] < box[3] for o in taken):
                continue
            taken.append(box)
            near = left if left > x else left + width
            lead = f'<path class="lead" d="M{x:.1f} {y:.1f}L{near:.1f} {y + shift:.1f}"/>' if shift else ""
            return lead + _text(left, y + shift + 4, label, "start")
    return _text(x + 9, y + 4, label, "start")


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'
