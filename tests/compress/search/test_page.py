"""The page of a search and its plots."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from xml.etree import ElementTree

import pytest

pytest.importorskip("torch", reason="`edgebert compress` needs it")

from edgebert.compress.search import table
from edgebert.compress.search.page import to_html
from edgebert.compress.search.plot import scatter
from edgebert.compress.search.report import Frontier, Measuring, PointLatency, PointResult


def point(name: str, size: int | None, score: float | None, ms: float | None, **more: object) -> PointResult:
    latency = None if ms is None else PointLatency(ms, (ms,), ms / 8, {16: ms})
    made = PointResult(name, f"{name} <&>", "measured", "", (f"edgebert convert {name}",), 61.0, parameters=10)
    return replace(made, best="onnx-int8", bytes=size, score=score, latency=latency, **more)  # type: ignore[arg-type]


def result(*points: PointResult) -> Frontier:
    return Frontier(
        checkpoint="/models/<script>&/",
        files={},
        task="text-classification",
        metric="accuracy",
        evaluation={"path": "dev.tsv", "sha256": "0" * 64, "rows": 872},
        data=[{"path": "train.tsv", "sha256": "1" * 64}],
        target="x86-cpu",
        budget=1800,
        spent=1500,
        machine={"model": "A CPU", "physical_cores": 2, "memory_bytes": 8e9},
        versions={"edgebert": "1"},
        measuring=Measuring((("checkpoint",),), 30, "128 texts of the evaluation file", ()),
        notes=("half: the medians of the rounds lie 20% apart",),
        points=points,
        command=("edgebert", "compress"),
        created="2026-01-01T00:00:00Z",
    )


WHOLE = point("checkpoint", 67_500_000, 0.891, 8.0)
HALF = point("half", 31_900_000, 0.889, 3.5)
WORSE = point("worse", 53_000_000, 0.86, 8.1)
LOST = PointResult("lost", "lost", "failed", "no layer <b>", ("edgebert drop-layers",), 1.0)


class Tags(HTMLParser):
    """Collects the elements, and refuses what is not closed."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: set[str] = set()

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.seen.add(tag)
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_is_whole_and_needs_nothing_else() -> None:
    page = to_html(result(WHOLE, HALF, WORSE, LOST))
    tags = Tags()
    tags.feed(page)
    assert tags.open == [] and "script" not in tags.seen and "img" not in tags.seen and "link" not in tags.seen
    assert "http" not in page.replace("http-equiv", "")
    assert "No other point is smaller or faster and as good as: checkpoint, half." in page
    assert "&lt;script&gt;&amp;" in page and "no layer &lt;b&gt;" in page and "edgebert drop-layers" in page
    assert page.count("<svg") == 2 and "20% apart" in page
    assert "prefers-color-scheme:dark" in page


def test_without_latency_there_is_one_plot() -> None:
    whole = replace(WHOLE, latency=None)
    page = to_html(replace(result(whole, LOST), measuring=None))
    assert page.count("<svg") == 1 and "Accuracy over latency" not in page


def test_a_plot_names_every_point_apart_and_joins_the_best() -> None:
    points = {f"point-{number}": (10.0 + number / 100, 88.0 + number / 100) for number in range(12)}
    svg = scatter(points, ["point-0", "point-11"], x="size", y="accuracy", whole="point-11")
    root = ElementTree.fromstring(svg)
    labels = [element for element in root.iter("text") if (element.text or "").startswith("point-")]
    assert sorted(element.text or "" for element in labels) == sorted(points)
    places = [(float(element.attrib["x"]), float(element.attrib["y"])) for element in labels]
    for index, (x, y) in enumerate(places):
        assert all(abs(x - other_x) > 50 or abs(y - other_y) > 6 for other_x, other_y in places[:index])
    circles = [element.attrib["class"] for element in root.iter("circle")]
    assert (circles.count("kept"), circles.count("beaten")) == (2, 10)
    assert len([path for path in root.iter("path") if path.attrib["class"] == "frontier"]) == 1


def test_plots_of_one_point_and_of_none() -> None:
    assert scatter({}, [], x="size", y="accuracy", whole="a") == ""
    svg = scatter({"a": (1.0, 0.0)}, ["a"], x="size", y="accuracy", whole="a")
    assert not re.search("nan|inf", svg)
    assert ElementTree.fromstring(svg).tag == "svg"


def test_the_table() -> None:
    shown = result(WHOLE, HALF, WORSE, LOST)
    cells = {row[0]: row[1:] for row in table.rows(shown)}
    assert cells["half"] == [
        "measured",
        "onnx-int8",
        "31.9",
        "0.47",
        "0.8890",
        "+0.0020",
        "3.5",
        "0.44",
        "size, latency",
    ]
    assert cells["worse"][-1] == ""
    assert cells["lost"] == ["failed", *["-"] * 7, ""]
    assert all(len(row) == len(table.header(shown)) for row in table.rows(shown))
    assert table.remarks(shown) == ["lost: no layer <b>", "half: the medians of the rounds lie 20% apart"]
