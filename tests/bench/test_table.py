"""The table for people."""

from __future__ import annotations

from dataclasses import replace

from edgebert.bench import BenchmarkReport
from tests.bench.conftest import ELSEWHERE, RUNNABLE


def rows(table: str, first: str) -> list[list[str]]:
    return [line.split() for line in table.splitlines() if line.startswith(first)]


def test_the_table_names_the_run(report: BenchmarkReport) -> None:
    table = report.table()
    head = " ".join(table.split("\n\n")[0].split())
    assert f"tiny ({report.bundle_digest[:12]})" in head
    assert f"EdgeBERT {report.versions['edgebert']}" in head
    assert "2 rounds x 4 repetitions, seed 7; 5 given texts" in head
    assert all(len(line) <= 120 for line in table.splitlines())
    assert table.endswith("\n")


def test_each_artifact_has_a_row_of_its_figures_in_both_parts(report: BenchmarkReport) -> None:
    table = report.table()
    [header] = rows(table, "artifact       runtime")
    for result in report.artifacts:
        if result.id not in RUNNABLE:
            continue
        startup, latency = rows(table, result.id)
        m = result.measurements
        assert m is not None
        # The runtime's name and version are two words.
        figures = dict(zip(header[2:], startup[3:], strict=True))
        assert startup[1] == m.facts.distribution
        assert figures["thr."] == "1"
        shown = {"load": m.load_ms.median, "first": m.first_answer_ms.median, "t/s": m.texts_per_second.median}
        for name, value in shown.items():
            assert abs(float(figures[name]) - value) <= max(0.5 if value >= 100 else 0.05, 0.005)
        assert abs(float(figures["peak"]) * 1e6 - (m.peak_rss_bytes or 0)) <= 0.5e6
        numbers = [float(word) for word in latency[1:] if word != "/"]
        expected = [v for n in (5, 16, 64) for v in (m.latency_ms[n].p50, m.latency_ms[n].p95, m.latency_ms[n].p99)]
        assert all(abs(seen - value) <= 0.5 for seen, value in zip(numbers, expected, strict=False))
        assert len(numbers) == len(expected) + 3


def test_what_was_not_measured_stands_below_with_the_reason(report: BenchmarkReport) -> None:
    assert f"{ELSEWHERE}: cannot run: needs onnxruntime >= 999" in report.table()


def test_noise_is_said_and_its_absence_is_silent(report: BenchmarkReport) -> None:
    noisy = replace(report, noise=("something else ran",)).table()
    assert "NOISY" in noisy
    assert "- something else ran" in noisy
    assert "NOISY" not in replace(report, noise=()).table()


def test_an_artifact_that_is_slow_here_is_named(report: BenchmarkReport) -> None:
    first = report.artifacts[0]
    assert first.measurements is not None
    assert "SLOW" not in report.table()
    facts = replace(first.measurements.facts, slowdown="it lacks its fast kernels")
    slow = replace(first, measurements=replace(first.measurements, facts=facts))
    table = replace(report, artifacts=(slow, *report.artifacts[1:])).table()
    assert f"SLOW: {first.id}: it lacks its fast kernels." in table


def test_nothing_measured_gives_reasons_and_no_empty_table(report: BenchmarkReport) -> None:
    table = replace(report, artifacts=report.artifacts[-1:]).table()
    assert "Latency" not in table
    assert ELSEWHERE in table


def test_unknown_memory_is_shown_as_unknown(report: BenchmarkReport) -> None:
    first = report.artifacts[0]
    assert first.measurements is not None
    unknown = replace(first.measurements, first_answer_rss_bytes=None, peak_rss_bytes=None)
    table = replace(report, artifacts=(replace(first, measurements=unknown),)).table()
    assert rows(table, first.id)[0].count("?") == 2
