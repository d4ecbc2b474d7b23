"""The page of a report: whole, offline, readable, and true to the figures; and what a browser makes of it."""

from __future__ import annotations

import dataclasses
import math
import re
import shutil
import subprocess
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgebert.bench.pages import to_html
from edgebert.bench.pages.distribution import distribution_plot
from edgebert.bench.pages.frontier import points_of, unbeaten
from edgebert.bench.report import BenchmarkReport, Executed
from edgebert.bench.stats import Latency
from tests.bench.reports import ARTIFACTS, artifact, crashed, report
from tests.convert.pages import Page

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")


def plots(page: str) -> list[ElementTree.Element]:
    return [ElementTree.fromstring(drawn) for drawn in re.findall(r"<svg.*?</svg>", page, flags=re.DOTALL)]


def plot(page: str, title: str) -> ElementTree.Element:
    [found] = [drawn for drawn in plots(page) if title in drawn.attrib["aria-label"]]
    return found


def test_the_page_is_whole_and_needs_nothing_else() -> None:
    page = to_html(report())
    parsed = Page(page)  # refuses what is not closed
    assert not {"script", "img", "link", "iframe"} & {tag for tag, _ in parsed.elements}
    assert "http" not in page.replace("http-equiv", "") and "url(" not in page and "@import" not in page
    assert "default-src 'none'" in page and "prefers-color-scheme:dark" in page and "width=device-width" in page
    assert page.encode().decode() == page


def cells(page: str) -> dict[str, dict[str, str]]:
    """By artifact and column, over all tables of the page; of a cell with a second line, the first."""
    found: dict[str, dict[str, str]] = {}
    for name, row in re.findall(r'<tr><th scope="row">(.*?)</th>(.*?)</tr>', page):
        pairs = re.findall(r'data-label="(.*?)">(.*?)(?:<small>.*?</small>)*</td>', row)
        found.setdefault(name, {}).update(pairs)
    return found


def test_every_plot_says_in_words_what_it_shows() -> None:
    page = to_html(report())
    titles = [drawn.attrib["aria-label"] for drawn in plots(page)]
    assert len(titles) == len(set(titles)) == 2 + 5 + 3 + 2
    for drawn in plots(page):
        assert drawn.attrib["role"] == "img"
        said = drawn.findtext("desc") or ""
        for name in ARTIFACTS:
            assert name in said


def test_the_verdict_names_the_fastest_and_those_that_none_beats() -> None:
    shown = report()
    verdict = Page(to_html(shown)).verdict
    assert verdict.startswith("Fastest: onnx-int8, ")
    assert "Smallest: tflite-int8." in verdict
    # 21 ms, 132 MB and 0.8911 beat none in latency or accuracy, but the float32 one of 263 MB in size.
    best = {point.artifact.id for point in unbeaten(points_of(shown.artifacts))}
    assert best == {"onnx-int8", "onnx-fp32", "openvino-fp16", "tflite-int8"}
    worse = artifact("tflite-int8", slower=0.99)
    beaten = dataclasses.replace(worse, bytes=10**9)
    assert beaten.id not in {point.artifact.id for point in unbeaten(points_of([artifact("onnx-int8"), beaten]))}


def test_noise_stands_before_the_figures() -> None:
    page = to_html(report(noise=("the load average was 2.0 & more",)))
    assert "the load average was 2.0 &amp; more" in page
    assert page.index("do not compare") < page.index("<table>")
    assert "do not compare" not in to_html(report())


def test_the_tables_hold_the_figures() -> None:
    shown = report()
    tables = cells(to_html(shown))
    for result in shown.artifacts:
        measured = result.measurements
        assert measured is not None
        row = tables[result.id]
        assert row["Disk, MB"] == f"{result.bytes / 1e6:,.1f}"
        assert float(row["32 tokens, ms"]) == pytest.approx(measured.latency_ms[32].p50, rel=0.01)
        assert float(row["Texts/s"]) == pytest.approx(measured.texts_per_second.median, rel=0.01)
        assert float(row["Start-up, ms"]) == pytest.approx(measured.total_ms.median, rel=0.01)
        assert row["Peak memory, MB"] == f"{(measured.peak_rss_bytes or 0) / 1e6:,.0f}"
        assert measured.accuracy is not None
        assert row["Accuracy"].startswith(f"{measured.accuracy.scores[0].value:.4f}")
        assert "p99" in row


def test_what_was_not_measured_or_is_not_told_stands_there_with_the_reason() -> None:
    page = Page(to_html(report(artifact("onnx-int8"), crashed("onnx-fp32"))))
    assert "crashed: killed by signal 11" in page.text and "what it wrote & <more>" in page.text
    assert "no counter is readable" in page.text
    alone = Page(to_html(report(crashed("onnx-fp32"), evaluation=None)))
    assert alone.verdict == "Nothing could be measured on this machine."
    assert alone.count("svg") == 0


def test_a_device_that_tells_little_gets_a_page_without_those_plots() -> None:
    silent = artifact(
        "onnx-int8", energy=None, thermal=(), accuracy=None, peak_rss_bytes=None, first_answer_rss_bytes=None,
        resident=None, executed=Executed(None, None, "it does not say"),
    )  # fmt: skip
    page = to_html(report(silent, evaluation=None, load_average_before=None, load_average_after=None))
    titles = " ".join(drawn.attrib["aria-label"] for drawn in plots(page))
    assert "Size over latency" in titles
    assert not any(word in titles for word in ("Energy", "memory", "sensor", "clock"))
    assert "it does not say" in page and "Accuracy was not measured" in page


def test_one_round_of_one_length_has_a_page() -> None:
    page = to_html(report(artifact("onnx-int8", rounds=1, repetitions=1, lengths=(16, 32, 64, 128)), rounds=1))
    assert not re.search(r"\bnan\b|\binf\b", page)


def test_the_density_is_highest_where_the_samples_are() -> None:
    rng = np.random.default_rng(0)
    samples = [[*rng.normal(10, 0.3, 100), *[14.0] * 10], list(rng.normal(10, 0.3, 100))]
    drawn = distribution_plot({"a": Latency.of(samples)}, {"a": "onnx"}, "t")
    root = ElementTree.fromstring(drawn)
    [hill] = [element for element in root.iter("path") if element.attrib["class"].startswith("hill")]
    outline = [tuple(map(float, point.split())) for point in hill.attrib["d"].strip("MZ").split("L")]
    peak = min(outline, key=lambda point: point[1])
    [median] = [element for element in root.iter("circle") if element.attrib["class"].startswith("mark")]
    assert abs(peak[0] - float(median.attrib["cx"])) < 15
    assert sum(1 for element in root.iter("circle") if element.attrib["class"] == "round") == 2


def test_samples_beyond_the_end_are_counted() -> None:
    values = [10.0 + number / 100 for number in range(400)]
    drawn = distribution_plot({"a": Latency.of([[*values, 500.0, 900.0]])}, {"a": "onnx"}, "t")
    assert "2 →" in drawn


names = st.text(st.characters(codec=None), min_size=1, max_size=12)
times = st.lists(st.lists(st.floats(1e-3, 1e5), min_size=1, max_size=6), min_size=1, max_size=4)


@settings(max_examples=40, deadline=None)
@given(names, names, times, st.sampled_from(list(ARTIFACTS)))
def test_any_names_and_times_give_a_page_whose_plots_stay_in_their_frames(
    bundle: str, reason: str, samples: list[list[float]], name: str
) -> None:
    measured = artifact(name, texts_latency_ms=Latency.of(samples))
    page = to_html(report(measured, crashed("onnx-fp32"), bundle=bundle, noise=(reason,), untold={reason: bundle}))
    assert page.encode().decode() == page
    Page(page)
    for drawn in plots(page):
        width, height = map(float, drawn.attrib["viewBox"].split()[2:])
        for element in drawn.iter():
            for key, limit in (("x", width), ("cx", width), ("y", height), ("cy", height)):
                if key in element.attrib:
                    assert math.isfinite(float(element.attrib[key])) and -1 <= float(element.attrib[key]) <= limit + 1


@pytest.fixture(scope="module")
def browser() -> str:
    found = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    if found is None:
        pytest.skip("no Chromium is installed to open the page in")
    return found


def opened(browser: str, page: str, folder: Path, *, width: int) -> str:
    """What the page's own layout is, as a script that only this test puts there sees it."""
    probe = (
        "<script>addEventListener('load',()=>{const out=[document.documentElement.scrollWidth];"
        "for(const s of document.querySelectorAll('svg')){const b=s.getBoundingClientRect();"
        "let worst=0;for(const t of s.querySelectorAll('text,path,circle')){const r=t.getBoundingClientRect();"
        "worst=Math.max(worst,b.left-r.left,r.right-b.right,r.bottom-b.bottom)}"
        "out.push(Math.round(b.width),Math.round(worst))}"
        "document.body.innerHTML='';document.title='MEASURED '+out.join(' ')})</script>"
    )
    path = folder / "page.html"
    allowed = page.replace("default-src 'none';", "default-src 'none'; script-src 'unsafe-inline';", 1)
    path.write_text(allowed.replace("</body>", f"{probe}</body>"))
    command = [browser, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder / 'profile'}"]
    command += [f"--window-size={width},900", "--dump-dom", path.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=180)
    found = re.search(r"<title>MEASURED ([\d -]+)</title>", done.stdout)
    if found is None:
        pytest.skip(f"the browser does not run here: {done.stderr.strip().splitlines()[-1:]}")
    return found[1]


@pytest.mark.parametrize("width", [1200, 500])
def test_a_browser_shows_it_within_the_window_and_every_plot_within_its_frame(
    browser: str, tmp_path: Path, width: int
) -> None:
    shown = report(*(artifact(name) for name in ARTIFACTS), noise=("the medians of the rounds lie 22% apart",))
    numbers = [int(number) for number in opened(browser, to_html(shown), tmp_path, width=width).split()]
    assert numbers[0] <= width, "the page is wider than the window"
    widths, overhang = numbers[1::2], numbers[2::2]
    assert len(widths) == 12 and min(widths) > 300
    assert max(overhang) <= 2, "something is drawn outside of its plot"


def test_a_browser_reports_no_error_and_fetches_nothing(browser: str, tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    path.write_text(to_html(report()))
    command = [browser, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}"]
    command += ["--enable-logging=stderr", "--dump-dom", path.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=180)
    if "<h1>" not in done.stdout:
        pytest.skip(f"the browser does not run here: {done.stderr.strip().splitlines()[-1:]}")
    assert "CONSOLE" not in done.stderr, done.stderr
    assert done.stdout.count("<svg") == 12


def test_the_report_of_a_real_run_has_a_page(report: BenchmarkReport) -> None:
    page = to_html(report)
    parsed = Page(page)
    for result in report.artifacts:
        assert result.id in parsed.text
    assert len(plots(page)) >= 6
