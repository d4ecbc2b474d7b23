"""A plot of the metric over what a point costs, as inline SVG that reads without colour, script or other files.

Points that no other beats are filled and joined by a line; every point carries its name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from edgebert.pages import plot

_WIDTH, _BOTTOM = 560.0, 320.0
_LEFT, _TOP, _RIGHT = 54.0, 14.0, 550.0


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
    x_axis = plot.linear(0.0, max(costs), _LEFT, _RIGHT - 20, x)
    y_axis = plot.linear(min(values), max(values), _BOTTOM, _TOP, y)
    places = {name: (x_axis(cost), y_axis(value)) for name, (cost, value) in points.items()}
    parts = [plot.axes(x_axis, y_axis, left=_LEFT, right=_RIGHT)]
    taken: list[plot.Box] = [(px - 6, py - 6, px + 6, py + 6) for px, py in places.values()]
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
        parts.append(plot.beside(name, px, py, taken, (_LEFT, 0, _WIDTH, _BOTTOM)))
    return plot.svg(_WIDTH, _BOTTOM + plot.BELOW, f"{y} over {x}, a point for each checkpoint", parts)
