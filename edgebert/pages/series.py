"""How an artifact looks in a plot: backends differ by marker (and colour), precisions by dash."""

from __future__ import annotations

from collections.abc import Iterable

from edgebert.pages.text import escape

_SHAPES = {
    "square": ((-1, -1), (1, -1), (1, 1), (-1, 1)),
    "triangle": ((0, -1.3), (1.2, 0.9), (-1.2, 0.9)),
    "diamond": ((0, -1.4), (1.4, 0), (0, 1.4), (-1.4, 0)),
}
_MARKERS = {"onnx": "circle", "openvino": "square", "tflite": "triangle", "tensorrt": "diamond"}
_DASHES = {"fp32": ("solid", "none"), "fp16": ("dashed", "6 3"), "int8": ("dotted", "1.5 2.5")}


def kind(backend: str) -> str:
    """The class of a backend's elements in the style sheet; ``"other"`` for one that it has no colour for."""
    return backend if backend in _MARKERS else "other"


def line(backend: str, precision: str, path: str) -> str:
    """A line of an artifact: ``path`` is the value of ``d``."""
    return f'<path class="line {kind(backend)}" stroke-dasharray="{_dash(precision)[1]}" d="{path}"/>'


def marker(backend: str, x: float, y: float, radius: float, *, says: str = "", filled: bool = False) -> str:
    """A point of an artifact; ``says`` is what it shows when pointed at."""
    look = f"mark {kind(backend)}{' filled' if filled else ''}"
    shape = _SHAPES.get(_marker(backend))
    if shape is None:
        tag = f'circle class="{look}" cx="{x:.1f}" cy="{y:.1f}" r="{radius}"'
    else:
        corners = "L".join(f"{x + radius * dx:.1f} {y + radius * dy:.1f}" for dx, dy in shape)
        tag = f'path class="{look}" d="M{corners}Z"'
    return f"<{tag}><title>{escape(says)}</title></{tag.split()[0]}>" if says else f"<{tag}/>"


def legend(kinds: Iterable[tuple[str, str]]) -> str:
    """What the markers and dashes of these backends and precisions mean, in one sentence of plain text."""
    backends, precisions = zip(*kinds, strict=True)
    markers = ", ".join(f"{_marker(backend)} {backend}" for backend in dict.fromkeys(backends))
    dashes = ", ".join(f"{_dash(precision)[0]} {precision}" for precision in dict.fromkeys(precisions))
    return f"Markers: {markers}. Lines: {dashes}."


def _marker(backend: str) -> str:
    return _MARKERS.get(backend, "circle")


def _dash(precision: str) -> tuple[str, str]:
    return _DASHES.get(precision, ("solid", "none"))
