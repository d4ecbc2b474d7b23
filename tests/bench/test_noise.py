"""When the figures are called noisy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from edgebert.bench import ArtifactResult, BenchmarkReport, Latency, Rounds
from edgebert.bench.noise import find_noise

QUIET = (0.1, 0.1, 0.1)


@pytest.fixture
def steady(report: BenchmarkReport) -> ArtifactResult:
    """A real result whose figures are replaced by such as never vary."""
    result = report.artifacts[0]
    assert result.measurements is not None
    latency = dict.fromkeys(result.measurements.latency_ms, Latency.of([[2.0, 2.1], [2.0, 2.1]]))
    throughput = Rounds.of([100.0, 101.0])
    measurements = replace(result.measurements, latency_ms=latency, texts_per_second=throughput)
    return replace(result, measurements=measurements)


def with_latency(result: ArtifactResult, rounds: Sequence[Sequence[float]]) -> ArtifactResult:
    assert result.measurements is not None
    latency = {**result.measurements.latency_ms, 16: Latency.of(rounds)}
    return replace(result, measurements=replace(result.measurements, latency_ms=latency))


def test_a_quiet_machine_and_steady_figures_are_not_noisy(steady: ArtifactResult) -> None:
    assert find_noise(QUIET, (1.2, 0.5, 0.2), 4, [steady]) == ()


def test_an_unknown_load_is_no_noise(steady: ArtifactResult) -> None:
    assert find_noise(None, None, 4, [steady]) == ()


def test_other_work_before_and_after(steady: ArtifactResult) -> None:
    [before] = find_noise((1.1, 0, 0), QUIET, 4, [steady])
    assert "1.10 before" in before
    [after] = find_noise(QUIET, (2.1, 0, 0), 4, [steady])
    assert "2.10 after" in after
    assert "1 threads" in after


def test_rounds_that_differ(steady: ArtifactResult) -> None:
    [sentence] = find_noise(QUIET, QUIET, 4, [with_latency(steady, [[2.0, 2.0], [2.4, 2.4]])])
    assert sentence.startswith("onnx-fp32: ")
    assert "18% apart (latency, 16 tokens)" in sentence
    assert steady.measurements is not None
    slower = replace(steady.measurements, texts_per_second=Rounds.of([100.0, 50.0]))
    [sentence] = find_noise(QUIET, QUIET, 4, [replace(steady, measurements=slower)])
    assert "(throughput)" in sentence


def test_a_wide_spread_within_the_rounds(steady: ArtifactResult) -> None:
    wide = [[1.0, 2.0, 2.0, 2.0, 9.0]] * 2
    [sentence] = find_noise(QUIET, QUIET, 4, [with_latency(steady, wide)])
    assert "p5 and p95" in sentence
    assert "16 tokens" in sentence
