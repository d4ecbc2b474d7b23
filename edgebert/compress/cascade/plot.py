"""The plot of ``cascade.html``: accuracy over the share of the texts that is escalated."""

from __future__ import annotations

from collections.abc import Sequence

from edgebert.pages import plot

_WIDTH = 460.0
_LEFT, _TOP, _RIGHT, _BOTTOM = 56.0, 14.0, 440.0, 250.0


def share_plot(curve: Sequence[tuple[float, float]], escalated: float, accuracy: float) -> str:
    """An ``<svg>`` element for a page.

    Args:
        curve: share escalated and accuracy, both in [0, 1], ascending by share.
        escalated: of the cascade.
        accuracy: of the cascade.
    """
    heights = [100 * value for _, value in curve] + [100 * accuracy]
    x = plot.linear(0.0, 100.0, _LEFT, _RIGHT, "escalated, %")
    y = plot.linear(min(heights), max(heights), _BOTTOM, _TOP, "accuracy, %")
    parts = [plot.axes(x, y, left=_LEFT, right=_RIGHT)]
    line = "L".join(f"{x(100 * share):.1f} {y(100 * value):.1f}" for share, value in curve)
    parts.append(f'<path class="line" d="M{line}"/>')
    px, py = x(100 * escalated), y(100 * accuracy)
    parts.append(f'<path class="mark" d="M{px - 7:.1f} {py:.1f}H{px + 7:.1f}M{px:.1f} {py - 7:.1f}V{py + 7:.1f}"/>')
    return plot.svg(_WIDTH, _BOTTOM + plot.BELOW, "Accuracy over the share of the texts that is escalated", parts)
