"""What every plot is made of: axes, labels that do not cover each other, and the ``<svg>`` around them.

Plots are inline SVG that reads without colour, script or other files; the style sheet of the page gives the colours.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from edgebert.pages.text import escape

CHARACTER = 6.4
"""Width of a character of a label, rounded up: browsers choose the font."""

ROW = 13.0
"""Height of a label."""

BELOW = 40.0
"""Height of what stands below the axis of x: its ticks and its title."""

Box = tuple[float, float, float, float]
"""Left, top, right and bottom of something that labels must not cover."""


@dataclass(frozen=True, slots=True)
class Axis:
    """From ``low`` to ``high`` over the pixels ``start`` to ``end``; ``ticks`` maps values to what is written there."""

    low: float
    high: float
    start: float
    end: float
    ticks: Mapping[float, str]
    title: str

    def __call__(self, value: float) -> float:
        """The pixel at which ``value`` lies."""
        return self.start + (self.end - self.start) * (value - self.low) / (self.high - self.low)


def linear(low: float, high: float, start: float, end: float, title: str) -> Axis:
    """An axis with round ticks, of which the first and the last enclose ``low`` to ``high``."""
    ticks = _round_ticks(low, high)
    decimals = max(0, -math.floor(math.log10(ticks[1] - ticks[0]) + 1e-9))
    return Axis(ticks[0], ticks[-1], start, end, {tick: f"{tick:.{decimals}f}" for tick in ticks}, title)


def logarithmic(low: float, high: float, start: float, end: float, title: str) -> Axis:
    """An axis of the decimal logarithms of ``low`` to ``high``, both positive; give it logarithms.

    Its ticks are at 1, 2 and 5 times powers of ten; at powers alone over many of them, at each digit over few.
    """
    first, last = math.log10(low), math.log10(high)
    if last - first < 0.02:  # 5 %
        first, last = (first + last) / 2 - 0.01, (first + last) / 2 + 0.01
    ticks: dict[float, str] = {}
    decades = [(1,)] if last - first > 3 else []
    for factors in (*decades, (1, 2, 5), (1, 2, 3, 4, 5, 6, 7, 8, 9), [n / 10 for n in range(10, 100)]):
        powers = range(math.floor(first), math.ceil(last) + 1)
        values = [factor * 10.0**power for power in powers for factor in factors]
        ticks = {math.log10(v): f"{v:.3g}" for v in values if first <= math.log10(v) <= last}
        if len(ticks) > 2:
            break
    return Axis(first, last, start, end, ticks, title)


def _round_ticks(low: float, high: float) -> list[float]:
    """About five round values that enclose ``low`` to ``high``, and more where these lie close together."""
    span = max(high - low, 0.01 * max(abs(high), abs(low)), 1e-6)
    middle = (low + high) / 2
    # A span made wider for its smallness goes to both sides, but not below an axis that begins at 0.
    low, high = (low, high) if high - low >= span or low == 0 else (middle - span / 2, middle + span / 2)
    power = 10.0 ** math.floor(math.log10(span / 5))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= span / 5 * 0.999)
    first = math.floor(low / step + 1e-9)
    last = max(math.ceil(high / step - 1e-9), first + 1)
    return [number * step for number in range(first, last + 1)]


def axes(x: Axis, y: Axis, *, left: float, right: float) -> str:
    """Both axes with their titles and ticks, and a line across ``left`` to ``right`` for each tick of ``y``."""
    parts = []
    for value, label in y.ticks.items():
        parts.append(f'<path class="grid" d="M{left} {y(value):.1f}H{right:.1f}"/>')
        parts.append(text(left - 5, y(value) + 4, label, anchor="end"))
    parts += [text(x(value), y.start + 15, label, anchor="middle") for value, label in x.ticks.items()]
    parts.append(f'<path class="axis" d="M{left} {y.end}V{y.start:.1f}H{right:.1f}"/>')
    parts.append(text((x.start + x.end) / 2, y.start + 33, x.title, anchor="middle"))
    place = f"translate(11 {(y.start + y.end) / 2:.1f}) rotate(-90)"
    return "".join(parts) + f'<text text-anchor="middle" transform="{place}">{escape(y.title)}</text>'


def spread(wanted: Mapping[str, float], bottom: float) -> dict[str, float]:
    """Heights of labels near the ``wanted`` ones, in their order, a row apart and none below ``bottom``."""
    order = sorted(wanted, key=lambda label: wanted[label])
    placed: dict[str, float] = {}
    above = -math.inf
    for label in order:
        above = placed[label] = max(wanted[label], above + ROW)
    below = bottom + ROW
    for label in reversed(order):
        below = placed[label] = min(placed[label], below - ROW)
    return placed


def beside(label: str, x: float, y: float, taken: list[Box], frame: Box, *, gap: float = 9.0) -> str:
    """A label on the nearest free place beside a point, with a lead where it is not level; adds it to ``taken``.

    Args:
        label: what is written.
        x: of the point.
        y: of the point.
        taken: what must not be covered.
        frame: what must not be left.
        gap: from the point to the label, on either side.
    """
    width = len(label) * CHARACTER
    for shift in sorted((number * ROW / 2 for number in range(-100, 101)), key=abs):
        for left in (x + gap, x - gap - width):
            box = (left, y + shift - ROW / 2, left + width, y + shift + ROW / 2)
            if box[0] < frame[0] or box[1] < frame[1] or box[2] > frame[2] or box[3] > frame[3]:
                continue
            if any(box[0] < o[2] and o[0] < box[2] and box[1] < o[3] and o[1] < box[3] for o in taken):
                continue
            taken.append(box)
            near = left if left > x else left + width
            lead = f'<path class="lead" d="M{x:.1f} {y:.1f}L{near:.1f} {y + shift:.1f}"/>' if shift else ""
            return lead + text(left, y + shift + 4, label)
    return text(x + gap, y + 4, label)


def text(x: float, y: float, content: str, anchor: str = "start") -> str:
    """A label whose baseline begins at a point, or ends there, or has it in its middle."""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(content)}</text>'


def svg(width: float, height: float, title: str, parts: Sequence[str], *, description: str = "") -> str:
    """The ``<svg>`` element.

    Args:
        width: of the drawing, in its own units.
        height: likewise.
        title: what a screen reader calls the plot, as plain text.
        parts: what it holds, as SVG.
        description: what a screen reader says of its contents, as plain text; the points, or where they stand.
    """
    about = f"<desc>{escape(description)}</desc>" if description else ""
    head = f'<svg viewBox="0 0 {width:g} {height:.0f}" role="img" aria-label="{escape(title)}">'
    return f"{head}{about}{''.join(parts)}</svg>"
