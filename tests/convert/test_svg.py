"""The plots of the page of evidence."""

from __future__ import annotations

import math
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgebert.convert.evidence import Probe
from edgebert.convert.html import to_html
from edgebert.convert.report import PASSED, REFUSED, Outcome
from tests.convert.pages import Page, accuracy, evaluated, failed, many, measurement, outcome, page, report


def test_each_measured_artifact_has_a_line_and_a_labelled_point():
    shown = report(outcome(), outcome(id="tflite-fp32", backend="tflite", precision="fp32"), failed(id="tflite-int8"))
    parsed = page(shown)
    assert parsed.count("svg") == 2
    assert parsed.count("path", **{"class": "line onnx"}) == parsed.count("path", **{"class": "line tflite"}) == 1
    labels = [text for _, text in parsed.drawn]
    assert labels.count("onnx-int8") == labels.count("tflite-fp32") == 2
    assert "tflite-int8" not in labels
    assert "circle onnx, triangle tflite" in parsed.text and "dotted int8, solid fp32" in parsed.text
    dashes = {a["class"]: a["stroke-dasharray"] for tag, a in parsed.elements if "stroke-dasharray" in a}
    assert dashes["line onnx"] != dashes["line tflite"] == "none"


def test_the_length_plot_is_logarithmic_and_shows_the_worst_probe_of_a_length():
    probes = [(2, 1, 1e-1), (2, 2, 1.0), (16, 1, 1e-2), (128, 1, 1e-4)]
    drawn = measurement(probes=tuple(Probe(n, n, batch, d) for n, batch, d in probes))
    parsed = page(report(outcome(measurement=drawn)))
    marks = [a for tag, a in parsed.elements if tag == "circle" and a["r"] == "2.2"]
    x = [float(mark["cx"]) for mark in marks]
    y = [float(mark["cy"]) for mark in marks]
    assert len(marks) == 3
    assert x[1] - x[0] == pytest.approx(x[2] - x[1], abs=0.2)
    assert y[2] - y[1] == pytest.approx(y[1] - y[0], abs=0.2)
    ticks = {text: float(a["y"]) - 4 for a, text in parsed.drawn if text in {"1", "1e-2", "1e-4"}}
    assert list(ticks.values()) == pytest.approx([y[0], y[1], y[2]][::-1], abs=0.2)


def test_an_exact_zero_lies_on_the_bottom():
    drawn = measurement(probes=(Probe(2, 2, 1, 0.0), Probe(4, 4, 1, 1e-3), Probe(8, 8, 1, 1e-2)))
    marks = [
        float(a["cy"])
        for tag, a in page(report(outcome(measurement=drawn))).elements
        if tag == "circle" and a["r"] == "2.2"
    ]
    assert marks == sorted(marks, reverse=True)
    assert page(report(outcome(measurement=measurement(probes=(Probe(2, 2, 1, 0.0),))))).count("svg") == 2


def test_a_smaller_and_better_artifact_lies_further_left_and_up():
    small = outcome(id="onnx-int8", bytes=10_000_000, measurement=measurement(scores=accuracy(0.9, 0.89)))
    large = outcome(id="onnx-fp32", bytes=90_000_000, measurement=measurement(scores=accuracy(0.8, 0.89)))
    marks = [a for tag, a in page(report(small, large)).elements if tag == "circle" and a["r"] == "4.5"]
    (first, second) = ((float(a["cx"]), float(a["cy"])) for a in marks)
    assert first[0] < second[0] and first[1] < second[1]


@pytest.mark.parametrize("count", [1, 6, 30])
def test_labels_of_a_plot_do_not_cover_each_other(count):
    shown = many(count)
    ids = {artifact.id for artifact in shown.artifacts}
    for plot in re.findall(r"<svg.*?</svg>", to_html(shown), flags=re.DOTALL):
        boxes = []
        for attributes, text in Page(plot).drawn:
            if text in ids:
                left, base = float(attributes["x"]), float(attributes["y"])
                boxes.append((left, base - 9, left + 5 * len(text), base + 2))
        assert len(boxes) == count
        for position, one in enumerate(boxes):
            for other in boxes[:position]:
                apart = one[2] <= other[0] or other[2] <= one[0] or one[3] <= other[1] or other[3] <= one[1]
                assert apart, (one, other)


names = st.text(st.characters(codec=None), max_size=20)
differences = st.one_of(st.just(0.0), st.floats(1e-12, 1e6))
shares = st.floats(0.0, 1.0)


@st.composite
def outcomes(draw: st.DrawFn) -> list[Outcome]:
    found = []
    for index in range(draw(st.integers(1, 8))):
        lengths = draw(st.lists(st.integers(1, 512), max_size=6))
        measured = measurement(
            probes=tuple(Probe(n, n, 1, draw(differences)) for n in lengths),
            label_agreement=draw(shares),
            max_abs_diff=draw(differences),
            scores=accuracy(draw(shares), draw(shares)),
        )
        backend = draw(st.sampled_from(["onnx", "openvino", "tflite", "tensorrt"]))
        precision = draw(st.sampled_from(["fp32", "fp16", "int8"]))
        found.append(
            outcome(
                id=f"{backend}-{precision}-{index}",
                backend=backend,
                precision=precision,
                bytes=draw(st.integers(1, 10**10)),
                status=draw(st.sampled_from([PASSED, REFUSED])),
                reasons=tuple(draw(st.lists(names, max_size=2))),
                measurement=draw(st.sampled_from([measured, measured, None])),
            )
        )
    return found


@settings(max_examples=60, deadline=None)
@given(outcomes(), names, st.lists(names, max_size=20), shares)
def test_any_report_gives_a_page_whose_plots_stay_in_their_frames(artifacts, name, labels, reference):
    evaluation = evaluated({"accuracy": reference, "macro_f1": reference}, name, name, name)
    text = to_html(report(*artifacts, name=name, labels=tuple(labels), evaluation=evaluation))
    assert text.encode().decode() == text
    parsed = Page(text)
    assert list(parsed.cells) == [artifact.id for artifact in artifacts]
    heights = [float(a["viewbox"].split()[3]) for tag, a in parsed.elements if tag == "svg"]
    for tag, attributes in parsed.elements:
        for key in ("x", "cx", "y", "cy"):
            if key in attributes and tag in {"text", "circle"}:
                value = float(attributes[key])
                assert math.isfinite(value)
                assert 0 <= value <= (460 if key.endswith("x") else max(heights))
