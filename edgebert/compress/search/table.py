"""The result of a search as cells of a table, for the terminal and for the page."""

from __future__ import annotations

from edgebert.compress.search.report import LATENCY, SIZE, Frontier, PointResult
from edgebert.convert.html_text import metric_name

_NONE = "-"


def header(frontier: Frontier) -> list[str]:
    """The titles of the columns."""
    return ["point", "status", "artifact", "MB", "x", metric_name(frontier.metric), "lost", "ms", "x", "best in"]


def rows(frontier: Frontier) -> list[list[str]]:
    """A row for each point, the checkpoint first."""
    kept = frontier.on_frontier()
    return [_row(point, frontier.whole, kept) for point in frontier.points]


def remarks(frontier: Frontier) -> list[str]:
    """Why points are not measured, and what to know of the figures."""
    return [f"{point.name}: {point.reason}" for point in frontier.points if point.reason] + list(frontier.notes)


def _row(point: PointResult, whole: PointResult, kept: dict[str, list[str]]) -> list[str]:
    size, score = point.bytes, point.score
    lost = whole.score - score if score is not None and whole.score is not None else None
    return [
        point.name,
        point.status,
        point.best or _NONE,
        _NONE if size is None else _megabytes(size),
        _NONE if size is None or not whole.bytes else f"{size / whole.bytes:.2f}",
        _NONE if score is None else f"{score:.4f}",
        _NONE if lost is None else f"{lost:+.4f}",
        _NONE if point.latency is None else f"{point.latency.p50:.3g}",
        _NONE if point.latency is None else f"{point.latency.ratio:.2f}",
        ", ".join(axis for axis in (SIZE, LATENCY) if point.name in kept[axis]),
    ]


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.1f}" if size >= 10e6 else f"{size / 1e6:.3g}"
