"""Comparing two runs: what counts as a regression, what is refused, and how often a false alarm is raised."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgebert.bench.comparison import LEVEL, Change, compare, find_change
from edgebert.bench.report import BenchmarkReport
from edgebert.errors import DataError
from tests.bench.reports import ARTIFACTS, artifact, crashed, report, rounds_of

SIMULATIONS = 4000


def noisy_processes(rng: np.random.Generator, rounds: int, scale: float) -> tuple[float, ...]:
    return rounds_of(rng, scale, rounds, noise=0.03)


def heavy_tails(rng: np.random.Generator, rounds: int, scale: float) -> tuple[float, ...]:
    """Processes of which one in ten is a third slower."""
    slow = 1 + 0.35 * (rng.random(rounds) < 0.1)
    return tuple(value * factor for value, factor in zip(rounds_of(rng, scale, rounds), slow, strict=True))


def alarms(draw: Callable[..., tuple[float, ...]], rounds: int, *, ratio: float, margin: float, figures: int) -> float:
    """The share of comparisons of runs that differ by ``ratio`` in which some figure is called worse."""
    rng = np.random.default_rng(rounds)
    found = 0
    for _ in range(SIMULATIONS // figures):
        verdicts = [
            find_change(
                draw(rng, rounds, 9.0), draw(rng, rounds, 9.0 * ratio),
                more_is_worse=True, figures=figures, margin=margin,
            ).verdict
            for _ in range(figures)
        ]  # fmt: skip
        found += "worse" in verdicts
    return found / (SIMULATIONS // figures)


@pytest.mark.parametrize("rounds", [2, 3, 5, 10])
@pytest.mark.parametrize(("ratio", "margin"), [(1.0, 0.0), (1.05, 0.05)])
def test_the_false_alarm_rate_is_what_is_stated(rounds: int, ratio: float, margin: float) -> None:
    # A change of exactly the margin is the hardest of those that must not be called worse. Four standard errors of the
    # simulation, so that the seed does not decide.
    error = (LEVEL * (1 - LEVEL) / SIMULATIONS) ** 0.5
    rate = alarms(noisy_processes, rounds, ratio=ratio, margin=margin, figures=1)
    assert abs(rate - LEVEL) < 4 * error


@pytest.mark.parametrize("rounds", [3, 10])
def test_the_rate_is_not_above_it_over_all_figures_or_with_heavy_tails(rounds: int) -> None:
    for draw, figures in ((noisy_processes, 8), (heavy_tails, 1)):
        error = (LEVEL * (1 - LEVEL) / (SIMULATIONS // figures)) ** 0.5
        assert alarms(draw, rounds, ratio=1.0, margin=0.0, figures=figures) < LEVEL + 4 * error


def test_a_test_of_single_samples_would_raise_false_alarms() -> None:
    # Why rounds are the unit: the same simulation, with each round's thirty samples taken for independent ones.
    rng = np.random.default_rng(0)
    false = 0
    for _ in range(500):
        both = [
            np.concatenate([centre * np.exp(rng.normal(0, 0.04, 30)) for centre in rounds_of(rng, 9.0, 3, noise=0.03)])
            for _ in range(2)
        ]
        false += find_change(both[0].tolist(), both[1].tolist(), more_is_worse=True, margin=0.0).verdict == "worse"
    assert false / 500 > 4 * LEVEL


def test_a_change_well_beyond_the_noise_is_found() -> None:
    assert alarms(noisy_processes, 5, ratio=1.3, margin=0.05, figures=8) > 0.95


@pytest.mark.parametrize(
    ("ratio", "more_is_worse", "verdict"),
    [(1.5, True, "worse"), (1.5, False, "better"), (0.6, True, "better"), (0.6, False, "worse"), (1.0, True, "same")],
)
def test_verdicts_follow_the_direction(ratio: float, more_is_worse: bool, verdict: str) -> None:
    before = (10.0, 10.05, 9.95)
    change = find_change(before, [ratio * value for value in before], more_is_worse=more_is_worse)
    assert change.verdict == verdict
    assert change.low < change.ratio < change.high
    assert change.ratio == pytest.approx(ratio)


def test_rounds_that_lie_far_apart_leave_it_open() -> None:
    assert find_change((10, 14, 11), (12, 9, 15), more_is_worse=True).verdict == "unclear"


positive = st.floats(1e-3, 1e6)


@given(st.lists(positive, min_size=2, max_size=8), st.lists(positive, min_size=2, max_size=8), st.floats(0.01, 100))
def test_a_change_turns_with_its_runs_and_knows_no_units(before: list[float], after: list[float], unit: float) -> None:
    forth = find_change(before, after, more_is_worse=True)
    back = find_change(after, before, more_is_worse=False)
    assert back.ratio == pytest.approx(1 / forth.ratio)
    assert 0 < forth.low <= forth.ratio <= forth.high
    scaled = find_change([unit * v for v in before], [unit * v for v in after], more_is_worse=True)
    assert (scaled.ratio, scaled.low) == (pytest.approx(forth.ratio), pytest.approx(forth.low, rel=1e-3))


def figures(before: BenchmarkReport, after: BenchmarkReport, **options: Any) -> dict[str, str]:
    found = compare(before, after, **options)
    return {f"{figure.artifact}, {figure.figure}": figure.verdict for figure in found.figures}


def test_every_figure_of_every_artifact_is_compared() -> None:
    verdicts = figures(report(rounds=5), report(rounds=5))
    assert len(verdicts) == len(ARTIFACTS) * (4 + 1 + 1 + 1 + 2 + 1)
    expected = {"latency, 16 tokens", "latency, texts", "throughput", "start-up", "memory, peak", "energy"}
    assert expected <= {name.partition(", ")[2] for name in verdicts if name.startswith("onnx-int8")}
    assert set(verdicts.values()) <= {"same", "unclear"}


def test_only_what_got_slower_is_worse() -> None:
    before = report(artifact("onnx-int8", rounds=5), artifact("onnx-fp32", rounds=5), rounds=5)
    slow = artifact("onnx-int8", rounds=5, seed=1, slower=1.6)
    comparison = compare(before, report(slow, artifact("onnx-fp32", rounds=5, seed=1), rounds=5))
    worse = {(figure.artifact, figure.figure) for figure in comparison.figures if figure.verdict == "worse"}
    assert comparison.regressed
    assert {("onnx-int8", f"latency, {n} tokens") for n in (16, 32, 64, 128)} | {("onnx-int8", "throughput")} <= worse
    assert {name for name, _ in worse} == {"onnx-int8"}
    changed = next(figure.change for figure in comparison.figures if figure.figure == "latency, 64 tokens")
    assert isinstance(changed, Change)
    assert changed.low < 1.6 < changed.high


def test_what_a_run_has_once_is_judged_by_the_margin() -> None:
    before = report(artifact("onnx-int8"))
    measured = before.artifacts[0].measurements
    assert measured is not None
    for factor, verdict in ((1.2, "worse"), (1.01, "same"), (0.8, "better")):
        size = int((measured.peak_rss_bytes or 0) * factor)
        found = figures(before, report(artifact("onnx-int8", peak_rss_bytes=size)))
        assert found["onnx-int8, memory, peak"] == verdict


def test_the_first_start_up_may_come_from_the_disk_and_does_not_count() -> None:
    before, after = report(artifact("onnx-int8", rounds=4)), report(artifact("onnx-int8", rounds=4))
    measured = after.artifacts[0].measurements
    assert measured is not None
    cold = dataclasses.replace(
        measured.total_ms, values=(50 * measured.total_ms.values[0], *measured.total_ms.values[1:])
    )
    cold_run = report(artifact("onnx-int8", rounds=4, total_ms=cold))
    assert figures(before, cold_run)["onnx-int8, start-up"] == figures(before, after)["onnx-int8, start-up"]


def test_an_artifact_that_no_longer_runs_is_a_regression() -> None:
    before = report(artifact("onnx-int8"), artifact("onnx-fp32"))
    comparison = compare(before, report(artifact("onnx-int8"), crashed("onnx-fp32")))
    assert comparison.regressed
    assert comparison.lost == ("onnx-fp32: crashed: killed by signal 11",)
    assert "NO LONGER RUNS" in comparison.table()


def test_what_only_one_run_has_is_named() -> None:
    before = report(artifact("onnx-int8"), artifact("onnx-fp32"), crashed("tflite-int8"))
    after = report(artifact("onnx-int8", lengths=(16, 48)), artifact("tflite-int8"))
    comparison = compare(before, after)
    assert not comparison.regressed
    text = " ".join(comparison.table().split())
    assert "onnx-fp32: only in the first run" in text
    assert "onnx-int8: 32, 64, 128 tokens: only in the first run" in text
    assert "onnx-int8: 48 tokens: only in the second run" in text
    assert "tflite-int8: the first run did not measure it (crashed: killed by signal 11)" in text
    with pytest.raises(DataError, match="nothing in common"):
        compare(report(artifact("onnx-int8")), report(artifact("onnx-fp32")))


def changed_machine(**changes: Any) -> BenchmarkReport:
    plain = report()
    return dataclasses.replace(plain, machine=dataclasses.replace(plain.machine, **changes))


@pytest.mark.parametrize(
    ("after", "reason"),
    [
        (report(bundle_digest="0" * 64), "the bundles are sst2 (5ba15ba15ba1) and sst2 (000000000000)"),
        (changed_machine(model="Another CPU"), "the machine's model: A CPU and Another CPU"),
        (changed_machine(isa=frozenset()), "the machine's isa: avx2 and none"),
        (changed_machine(memory_bytes=4 * 2**30), "the machine's memory: 23 and 4 GiB"),
        (report(settings={"governor": "powersave"}), "governor: performance and powersave"),
        (report(settings={}), "governor: performance and not set"),
        (report(noise=("something else ran",)), "the second run is noisy: something else ran"),
        (report(plan=dataclasses.replace(report().plan, text_sha256="0" * 64)), "other texts"),
    ],
)
def test_what_is_not_comparable_is_refused_by_name(after: BenchmarkReport, reason: str) -> None:
    before = report()
    with pytest.raises(DataError) as refused:
        compare(before, after)
    assert reason in refused.value.message
    assert "--anyway" in refused.value.hint
    went_on = compare(before, after, anyway=True)
    assert any(reason in sentence for sentence in went_on.obstacles)
    assert "NOT COMPARABLE" in went_on.table()


def test_another_number_of_threads_is_another_measurement() -> None:
    facts = report().artifacts[0].measurements
    assert facts is not None
    one = dataclasses.replace(facts.facts, threads=1)
    after = report(artifact("onnx-int8", facts=one))
    with pytest.raises(DataError, match="the threads of onnx-int8: 2 and 1"):
        compare(report(artifact("onnx-int8")), after)


def test_little_memory_more_or_less_is_the_same_machine() -> None:
    after = changed_machine(memory_bytes=25 * 10**9 - 10**7, available_bytes=1)
    assert compare(report(), after).obstacles == ()


def test_versions_may_differ_and_are_named() -> None:
    comparison = compare(report(), report(versions={"edgebert": "0.2.0", "python": "3.11.2"}))
    assert comparison.changes == ("edgebert: 0.1.0 and 0.2.0",)
    assert "edgebert: 0.1.0 and 0.2.0" in comparison.table()


def test_one_round_is_not_enough() -> None:
    with pytest.raises(DataError, match="One round"):
        compare(report(artifact("onnx-int8", rounds=1)), report(artifact("onnx-int8", rounds=1)))


def test_table_and_json_say_the_same() -> None:
    comparison = compare(report(rounds=5), report(rounds=5))
    document = json.loads(comparison.to_json())
    assert document["format"] == "edgebert-bench-comparison/1"
    assert document["regressed"] is False
    assert len(document["figures"]) == len(comparison.figures)
    table = comparison.table()
    assert "No regression: 0 worse" in table
    assert all(len(line) <= 140 for line in table.splitlines())
    for figure in comparison.figures:
        assert any(line.startswith(f"{figure.artifact} ") and figure.figure in line for line in table.splitlines())
