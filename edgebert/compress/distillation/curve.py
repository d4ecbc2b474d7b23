"""The losses of a training as a plot: an SVG file of its own that reads without colour, script or other files."""

from __future__ import annotations

import html
import math
from collections.abc import Mapping, Sequence

_WIDTH, _HEIGHT = 640.0, 300.0
_LEFT, _TOP, _RIGHT, _BOTTOM = 60.0, 14.0, 560.0, 250.0
_ROW = 13.0
_DASHES = {"loss": "none", "kl": "6 3", "task": "1.5 2.5", "cos": "9 3 2 3"}
_NAMES = {"loss": "loss", "kl": "KL", "task": "task", "cos": "cosine"}
_STYLE = (
    "text{font:11px sans-serif;fill:#222}path{fill:none}.grid{stroke:#ddd}.axis{stroke:#222}"
    ".line{stroke:#222;stroke-width:1.4}.lead{stroke:#999}"
)


def loss_plot(curve: Sequence[Mapping[str, float]]) -> str:
    """The weighted loss and its parts over the steps, on a logarithmic axis.

    Args:
        curve: ``step``, ``loss`` and, where they were trained on, ``kl``, ``task`` and ``cos``; unweighted means since
            the entry before.

    Returns:
        An SVG document; an empty string for an empty curve.
    """
    lines = {name: [(entry["step"], entry[name]) for entry in curve if entry.get(name, 0.0) > 0.0] for name in _DASHES}
    lines = {name: points for name, points in lines.items() if points}
    if not lines:
        return ""
    values = [value for points in lines.values() for _, value in points]
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    high = max(high, low + 1)
    last = max(step for points in lines.values() for step, _ in points)

    def x(step: float) -> float:
        return _LEFT + (_RIGHT - _LEFT) * step / last

    def y(value: float) -> float:
        return _BOTTOM - (_BOTTOM - _TOP) * (math.log10(value) - low) / (high - low)

    parts = []
    for power in range(low, high + 1):
        height = y(10.0**power)
        parts.append(f'<path class="grid" d="M{_LEFT} {height:.1f}H{_RIGHT}"/>')
        parts.append(_text(_LEFT - 6, height + 4, f"{10.0**power:g}", "end"))
    for step in _round_steps(last):
        parts.append(_text(x(step), _BOTTOM + 16, f"{step:,}", "middle"))
    parts.append(f'<path class="axis" d="M{_LEFT} {_TOP}V{_BOTTOM}H{_RIGHT}"/>')
    parts.append(_text((_LEFT + _RIGHT) / 2, _BOTTOM + 36, "step", "middle"))
    ends = {name: (x(points[-1][0]), y(points[-1][1])) for name, points in lines.items()}
    above = -math.inf
    for name in sorted(lines, key=lambda name: ends[name][1]):
        path = "L".join(f"{x(step):.1f} {y(value):.1f}" for step, value in lines[name])
        parts.append(f'<path class="line" stroke-dasharray="{_DASHES[name]}" d="M{path}"/>')
        px, py = ends[name]
        above = max(py, above + _ROW)
        parts.append(f'<path class="lead" d="M{px:.1f} {py:.1f}L{_RIGHT + 12} {above:.1f}"/>')
        parts.append(_text(_RIGHT + 15, above + 4, _NAMES[name], "start"))
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH:g} {_HEIGHT:g}" role="img" '
        f'aria-label="Losses over the steps of the training"><style>{_STYLE}</style>'
    )
    return f'{head}<rect width="100%" height="100%" fill="#fff"/>{"".join(parts)}</svg>\n'


def _round_steps(last: float) -> list[int]:
    """About five round numbers from 0 to ``last``."""
    power = 10 ** math.floor(math.log10(max(last, 1)))
    step = next((s for s in (power // 5, power // 2, power, 2 * power, 5 * power) if s and last / s <= 6), power)
    return list(range(0, int(last) + 1, step))


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{html.escape(text)}</text>'
