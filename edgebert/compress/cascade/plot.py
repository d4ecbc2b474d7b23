"""The plot of ``cascade.html``: accuracy over the share of the texts that is escalated."""

from __future__ import annotations

import math
from collections.abc import Sequence

_WIDTH, _HEIGHT = 460.0, 300.0
_LEFT, _TOP, _RIGHT, _BOTTOM = 56.0, 14.0, 440.0, 250.0


def share_plot(curve: Sequence[tuple[float, float]], escalated: float, accuracy: float) -> str:
    """An ``<svg>`` element for a page with the style sheet of ``evidence.html``.

    Args:
        curve: share escalated and accuracy, both in [0, 1], ascending by share.
        escalated: of the cascade.
        accuracy: of the cascade.
    """
    heights = [value for _, value in curve] + [accuracy]
    step = next(
        size for size in (0.005, 0.01, 0.02, 0.05, 0.1, 0.2) if (max(heights) - min(heights)) / size <= 6 or size == 0.2
    )
    low, high = math.floor(min(heights) / step) * step, math.ceil(max(heights) / step) * step
    high = max(high, low + step)

    def x(share: float) -> float:
        return _LEFT + (_RIGHT - _LEFT) * share

    def y(value: float) -> float:
        return _BOTTOM - (_BOTTOM - _TOP) * (value - low) / (high - low)

    parts = []
    for index in range(round((high - low) / step) + 1):
        value = low + index * step
        parts.append(f'<path class="grid" d="M{_LEFT} {y(value):.1f}H{_RIGHT}"/>')
        parts.append(_text(_LEFT - 5, y(value) + 4, f"{100 * value:g}"[:5], "end"))
    parts += [_text(x(share / 5), _BOTTOM + 15, f"{20 * share}", "middle") for share in range(6)]
    parts.append(f'<path class="axis" d="M{_LEFT} {_TOP}V{_BOTTOM}H{_RIGHT}"/>')
    parts.append(_text((_LEFT + _RIGHT) / 2, _BOTTOM + 33, "escalated, %", "middle"))
    middle = f"translate(11 {(_TOP + _BOTTOM) / 2}) rotate(-90)"
    parts.append(f'<text text-anchor="middle" transform="{middle}">accuracy, %</text>')
    line = "L".join(f"{x(share):.1f} {y(value):.1f}" for share, value in curve)
    parts.append(f'<path class="line" d="M{line}"/>')
    px, py = x(escalated), y(accuracy)
    parts.append(f'<path class="mark" d="M{px - 7:.1f} {py:.1f}H{px + 7:.1f}M{px:.1f} {py - 7:.1f}V{py + 7:.1f}"/>')
    title = "Accuracy over the share of the texts that is escalated"
    return f'<svg viewBox="0 0 {_WIDTH:g} {_HEIGHT:g}" role="img" aria-label="{title}">{"".join(parts)}</svg>'


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{text}</text>'
