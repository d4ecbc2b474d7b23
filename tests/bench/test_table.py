"""The table for people."""

from __future__ import annotations

from dataclasses import replace

import pytest

from edgebert.bench import BenchmarkReport, Interval, Rounds
from edgebert.bench.report import Accuracy, Course, Energy, Evaluation, Score, ThermalRound, ThermalState
from tests.bench.conftest import ELSEWHERE, RUNNABLE


def rows(table: str, first: str) -> list[list[str]]:
    return [line.split() for line in table.splitlines() if line.startswith(first)]


def test_the_table_names_the_run(report: BenchmarkReport) -> None:
    table = report.table()
    head = " ".join(table.split("\n\n")[0].split())
    assert f"tiny ({report.bundle_digest[:12]})" in head
    assert f"EdgeBERT {report.versions['edgebert']}" in head
    assert "2 rounds x 4 repetitions, seed 7; 5 given texts" in head
    assert f"({report.course.least_sure})" in head
    assert all(len(line) <= 120 for line in table.splitlines())
    assert table.endswith("\n")


def shown(figure: str, value: float) -> bool:
    """Whether a figure of the table is the value, rounded to what it shows."""
    return abs(float(figure) - value) <= (0.5 if value >= 100 else 0.05 if value >= 10 else 0.005) * (1 + 1e-9)


@pytest.mark.parametrize("artifact", RUNNABLE)
def test_an_artifact_has_its_figures_in_every_part(report: BenchmarkReport, artifact: str) -> None:
    [m] = [result.measurements for result in report.artifacts if result.id == artifact]
    assert m is not None
    startup, short, middle, long, texts, serving = rows(report.table(), artifact)
    # The runtime's name and version are two words.
    assert (startup[1], startup[3]) == (m.facts.distribution, "1")
    phases = (m.interpreter_ms, m.import_ms, m.load_ms, m.first_answer_ms, m.total_ms)
    assert all(shown(figure, phase.median) for figure, phase in zip(startup[4:], phases, strict=True))
    for row, length in ((short, 5), (middle, 16), (long, 64)):
        latency = m.latency_ms[length]
        assert row[1:3] == [str(length), "tokens"]
        assert shown(row[3], latency.p50)
        assert row[-1] == f"{m.tokenization_share[length]:.1%}"
    assert texts[1:3] == ["the", "texts"]
    assert shown(texts[3], m.texts_latency_ms.p50)
    assert shown(serving[1], m.texts_per_second.median)
    assert abs(float(serving[4]) * 1e6 - (m.peak_rss_bytes or 0)) <= 0.5e6
    assert m.resident is not None
    assert abs(float(serving[6]) * 1e6 - m.resident.anonymous_bytes) <= 0.5e6


def test_what_ran_is_told(report: BenchmarkReport) -> None:
    told = " ".join(report.table().partition("What ran")[2].split())
    for artifact, executed_by in (("onnx-fp32", "CPUExecutionProvider"), ("tflite-fp32", "XNNPACK")):
        assert f"- {artifact}: CPU: " in told
        assert f" operators by {executed_by}" in told


@pytest.mark.parametrize(
    ("ended", "asked", "said"),
    [
        ("precision", 0.5, "is 12% (onnx-fp32, 5 tokens): at most 50%, as asked for; 7 s in all"),
        ("budget", 0.02, "; 2.0% was asked for: the budget of 60 s has ended the rounds; 7 s in all"),
        ("rounds", None, "the widest is 12% (onnx-fp32, 5 tokens); 7 s in all"),
    ],
)
def test_how_sure_the_medians_are_is_said(report: BenchmarkReport, ended: str, asked: float | None, said: str) -> None:
    plan = replace(report.plan, precision=asked, budget_seconds=60.0)
    course = Course(rounds=2, seconds=7.2, ended=ended, precision=0.123, least_sure="onnx-fp32, 5 tokens")
    assert said in " ".join(replace(report, plan=plan, course=course).table().split())
    alone = replace(course, precision=None, least_sure="")
    assert "one round: how sure" in replace(report, plan=plan, course=alone).table()


def test_accuracy_energy_and_heat_are_shown_where_they_are(report: BenchmarkReport) -> None:
    bare = report.table()
    assert not any(word in bare for word in ("Accuracy", "Energy", "Heat"))
    first = report.artifacts[0]
    assert first.measurements is not None
    cool = ThermalState({"cpu": 41.0}, {"policy0": 2400.0}, {"policy0": 2400.0}, {})
    hot = ThermalState({"cpu": 71.5}, {"policy0": 1800.0}, {"policy0": 2400.0}, {})
    full = replace(
        first.measurements,
        accuracy=Accuracy((Score("accuracy", 0.5, 0.8, 0.625, Interval(0.4, 0.6)), Score("f1", 0.5, None, None, None))),
        energy=Energy("rails", ("VDD_IN",), Rounds.of([0.05, 0.06]), Rounds.of([0.02, 0.02]), 4.5),
        thermal=(ThermalRound(cool, hot, ()),),
    )
    table = replace(
        report,
        evaluation=Evaluation("dev.tsv", "0" * 64, 872, "checkpoint"),
        artifacts=(replace(first, measurements=full),),
    ).table()
    assert "Accuracy on dev.tsv, 872 inputs; the reference is the float32 checkpoint." in table
    assert [first.id, "accuracy", "0.5000", "0.4000", "to", "0.6000", "0.8000", "62.5%"] in rows(table, first.id)
    assert [first.id, "f1", "0.5000", "?", "?"] in rows(table, first.id)
    assert "Energy of a text, by rails (VDD_IN), idle power of 4.50 W included." in table
    assert [first.id, "55.0", "20.0"] in rows(table, first.id)
    assert [first.id, "41.0", "°C", "71.5", "°C", "2400", "MHz", "1800", "MHz"] in rows(table, first.id)


def test_what_the_machine_does_not_tell_is_said(report: BenchmarkReport) -> None:
    table = replace(report, untold={"energy": "no meter"}).table()
    assert "Not told by this machine:\n- energy: no meter" in table
    assert "Not told" not in replace(report, untold={}).table()


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
    unknown = replace(first.measurements, first_answer_rss_bytes=None, peak_rss_bytes=None, resident=None)
    table = replace(report, artifacts=(replace(first, measurements=unknown),)).table()
    assert rows(table, first.id)[-1].count("?") == 4
