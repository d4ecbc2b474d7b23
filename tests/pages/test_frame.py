"""What every page has around its contents."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgebert.pages import frame, plot, series


def test_a_page_needs_nothing_else_and_runs_nothing() -> None:
    page = frame.document(title="a & b", heading="<b>", verdict="1 < 2", body="<p>whole</p>", style=".own{}")
    assert page.startswith("<!DOCTYPE html>") and page.rstrip().endswith("</html>")
    assert "default-src 'none'" in page and "<script" not in page and "<link" not in page
    assert "<title>a &amp; b</title>" in page and "<h1>&lt;b&gt;</h1>" in page and "1 &lt; 2" in page
    assert ".own{}</style>" in page and "<p>whole</p>" in page


def test_no_figures_make_no_empty_box() -> None:
    assert frame.figures([]) == ""
    assert frame.figures([frame.figure("a", "<svg></svg>", "b")]).count("<figure>") == 1


def test_a_plot_says_what_it_is_to_who_cannot_see_it() -> None:
    drawn = plot.svg(10, 20, "Latency & length", ["<path/>"], description="See the <table>.")
    assert 'role="img" aria-label="Latency &amp; length"' in drawn
    assert "<desc>See the &lt;table&gt;.</desc>" in drawn


def test_a_point_says_its_figures_when_pointed_at() -> None:
    for backend, tag in (("onnx", "circle"), ("tflite", "path")):
        assert re.fullmatch(f"<{tag} .*><title>a &lt; b</title></{tag}>", series.marker(backend, 1, 2, 3, says="a < b"))


finite = st.floats(-1e9, 1e9).filter(lambda value: value == 0 or abs(value) > 1e-6)


@given(finite, finite)
def test_a_linear_axis_encloses_its_values_with_round_ticks(one: float, other: float) -> None:
    low, high = sorted((one, other))
    axis = plot.linear(low, high, 0.0, 100.0, "x")
    slack = 1e-6 * max(abs(low), abs(high), 1e-3)
    assert axis.low <= low + slack and axis.high >= high - slack
    assert 2 <= len(axis.ticks) <= 12
    assert len(set(axis.ticks.values())) == len(axis.ticks)
    assert axis(axis.low) == pytest.approx(0) and axis(axis.high) == pytest.approx(100)
