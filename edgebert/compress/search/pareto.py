"""Which points no other one beats."""

from __future__ import annotations

from collections.abc import Mapping


def frontier(points: Mapping[str, tuple[float, float]]) -> list[str]:
    """The points to which no other is preferable: none is as cheap and as good, and better in one of both.

    Args:
        points: by name, what each costs (less is better) and how good it is (more is better).

    Returns:
        Their names, the cheapest first. Of points that are alike in both, all are in it or none.
    """
    best = float("-inf")
    kept: list[str] = []
    for name, (cost, quality) in sorted(points.items(), key=lambda item: (item[1][0], -item[1][1])):
        if quality > best or (kept and points[kept[-1]] == (cost, quality)):
            kept.append(name)
            best = quality
    return kept
