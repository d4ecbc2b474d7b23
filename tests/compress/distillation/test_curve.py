"""The plot of the losses."""

from __future__ import annotations

import re
from itertools import pairwise
from xml.etree import ElementTree

import pytest

pytest.importorskip("torch", reason="the package imports it")

from edgebert.compress.distillation.curve import loss_plot

CURVE = [{"step": 10.0 * n, "loss": 8.0 / n, "kl": 1.0 / n, "task": 0.7 / n, "cos": 0.69 / n} for n in range(1, 21)]
SVG = "{http://www.w3.org/2000/svg}"


def test_each_loss_is_a_line_with_a_name_that_can_be_read() -> None:
    svg = ElementTree.fromstring(loss_plot(CURVE))
    lines = [path for path in svg.iter(f"{SVG}path") if path.get("class") == "line"]
    assert len(lines) == 4 and len({path.get("stroke-dasharray") for path in lines}) == 4
    _, _, width, height = map(float, str(svg.get("viewBox")).split())
    for path in lines:
        points = [tuple(map(float, point.split())) for point in re.split("[ML]", str(path.get("d")))[1:]]
        assert len(points) == len(CURVE)
        assert all(0 <= x <= width and 0 <= y <= height for x, y in points)
        assert all(one[1] < other[1] for one, other in pairwise(points))  # falling: y goes down
    shown = {text.text: float(str(text.get("y"))) for text in svg.iter(f"{SVG}text")}
    names = {name: height for name, height in shown.items() if name in ("loss", "KL", "task", "cosine")}
    heights = sorted(names.values())
    assert len(names) == 4 and all(b - a >= 12 for a, b in pairwise(heights))


def test_a_loss_that_was_off_is_not_drawn() -> None:
    svg = loss_plot([{**entry, "task": 0.0} for entry in CURVE])
    assert ">task<" not in svg and ">cosine<" in svg


def test_nothing_to_draw() -> None:
    assert loss_plot([]) == ""


def test_one_point() -> None:
    ElementTree.fromstring(loss_plot(CURVE[:1]))
