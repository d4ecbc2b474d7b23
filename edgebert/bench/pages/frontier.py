"""The plot that decides what ships: size, accuracy and latency of each artifact, and which no other beats."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from edgebert.bench.pages.numbers import ms
from edgebert.bench.report import ArtifactResult
from edgebert.pages import plot, series
from edgebert.pages.text import megabytes

_WIDTH, _TOP, _BOTTOM = 460.0, 20.0, 290.0
_LEFT, _RIGHT = 54.0, 450.0
_LARGEST = 11.0
"""Radius of the marker of the largest artifact; areas are proportional to sizes."""


@dataclass(frozen=True, slots=True)
class Point:
    """What an artifact costs, and what it gives.

    Attributes:
        artifact: which.
        latency: batch-1 p50 on the texts, in ms.
        quality: the main metric on the evaluation file; ``None`` where none was measured.
    """

    artifact: ArtifactResult
    latency: float
    quality: float | None

    def beats(self, other: Point) -> bool:
        """Whether it is at least as good in everything, and better in something."""
        mine, its = (
            (-point.artifact.bytes, -point.latency, 0.0 if point.quality is None else point.quality)
            for point in (self, other)
        )
        return mine != its and all(a >= b for a, b in zip(mine, its, strict=True))


def points_of(artifacts: Sequence[ArtifactResult]) -> list[Point]:
    """Of those that were measured."""
    found = []
    for artifact in artifacts:
        if artifact.measurements is not None:
            accuracy = artifact.measurements.accuracy
            quality = accuracy.scores[0].value if accuracy is not None and accuracy.scores else None
            found.append(Point(artifact, artifact.measurements.texts_latency_ms.p50, quality))
    return found


def unbeaten(points: Sequence[Point]) -> list[Point]:
    """Those that no other beats in size, latency and quality together."""
    return [point for point in points if not any(other.beats(point) for other in points)]


def frontier_plot(points: Sequence[Point], metric: str) -> str:
    """The metric over latency, markers as large as the artifacts; without a metric, the size over latency.

    Args:
        points: at least one.
        metric: the name of the metric in all points; empty without one.

    Returns:
        An ``<svg>`` element.
    """
    heights = [_height(point, metric) for point in points]
    low = 0.0 if not metric else min(heights)
    x = plot.linear(0.0, max(point.latency for point in points), _LEFT, _RIGHT - 20, "p50 on the texts in ms")
    y = plot.linear(low, max(heights), _BOTTOM, _TOP, metric or "size in MB")
    largest = max(point.artifact.bytes for point in points)
    places = {point.artifact.id: (x(point.latency), y(_height(point, metric))) for point in points}
    best = {point.artifact.id for point in unbeaten(points)}
    parts = [plot.axes(x, y, left=_LEFT, right=_RIGHT)]
    radii = {
        point.artifact.id: max(2.5, _LARGEST * math.sqrt(point.artifact.bytes / largest)) if metric else 5.0
        for point in points
    }
    taken: list[plot.Box] = []
    for name, (px, py) in places.items():
        reach = radii[name] + 1
        taken.append((px - reach, py - reach, px + reach, py + reach))
    for name, (px, py) in sorted(places.items(), key=lambda item: item[1][::-1]):
        gap = radii[name] + 4.5
        parts.append(plot.beside(name, px, py, taken, (_LEFT, 0, _RIGHT + 10, _BOTTOM), gap=gap))
    # Over the labels' leads; the large ones first, so that none hides a small one.
    for point in sorted(points, key=lambda point: -point.artifact.bytes):
        artifact = point.artifact
        radius, says = round(radii[artifact.id], 1), _said(point, metric)
        parts.append(
            series.marker(artifact.backend, *places[artifact.id], radius, says=says, filled=artifact.id in best)
        )
    said = "; ".join(
        _said(point, metric) + (", no other beats it" if point.artifact.id in best else "") for point in points
    )
    title = f"{metric or 'Size'} over latency of each artifact"
    return plot.svg(_WIDTH, _BOTTOM + plot.BELOW, title, parts, description=said)


def _height(point: Point, metric: str) -> float:
    if not metric:
        return point.artifact.bytes / 1e6
    assert point.quality is not None
    return point.quality


def _said(point: Point, metric: str) -> str:
    quality = "" if point.quality is None or not metric else f", {metric} {point.quality:.4f}"
    return f"{point.artifact.id}: {ms(point.latency)} ms{quality}, {megabytes(point.artifact.bytes)}"
