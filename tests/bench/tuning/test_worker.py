"""One process: what it measures, and how it may end."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgebert.bench.tuning.answers import Answer
from edgebert.bench.tuning.job import Failure, Job, OutOfTime, Trial, dump_result, parse_result
from edgebert.bench.tuning.launch import run_job
from edgebert.bench.tuning.worker import measure
from edgebert.errors import BackendError
from edgebert.runtime.selection import Configuration
from tests.bench.conftest import TEXTS

ONNX = Configuration("onnx-fp32", 1)
BUCKETS = Configuration("tflite-fp32", 1, (8, 64))


def job(bundle: Path, objective: str = "latency", configuration: Configuration = ONNX, **changes: object) -> Job:
    return Job(str(bundle), configuration, objective, list(TEXTS), **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "result",
    [
        Trial([Answer(("a", "b"), (0.5, float("inf"))), Answer((), ())], 1.5, 2.5, 3.5),
        Failure("it \u2028 \ud800 broke"),
    ],
)
def test_results_go_through_a_file(result: Trial | Failure) -> None:
    assert parse_result(dump_result(result)) == result


def test_jobs_go_through_a_file(bundle_path: Path) -> None:
    for one in (job(bundle_path, configuration=BUCKETS), job(bundle_path, "", seconds=1.5, least=3)):
        assert Job.from_json(one.to_json()) == one


def test_every_objective_is_measured_on_the_same_answers(bundle_path: Path) -> None:
    trials = {name: measure(job(bundle_path, name)) for name in ("latency", "throughput", "memory")}
    alone = measure(job(bundle_path, ""))
    assert (alone.value, alone.text_ms) == (0, 0)
    for trial in trials.values():
        assert [one.decisions for one in trial.answers] == [one.decisions for one in alone.answers]
        for one, other in zip(trial.answers, alone.answers, strict=True):
            assert one.numbers == pytest.approx(other.numbers, abs=1e-4)
        assert trial.text_ms > 0
        assert trial.work_seconds * 1000 > trial.text_ms
    assert trials["latency"].value == trials["latency"].text_ms
    assert trials["throughput"].value == pytest.approx(1000 / trials["throughput"].text_ms)
    assert trials["memory"].value > 20


def test_without_time_the_least_is_answered(bundle_path: Path) -> None:
    assert len(measure(job(bundle_path, "", seconds=0.0, least=2)).answers) == 2
    assert len(measure(job(bundle_path, "", seconds=0.0, least=99)).answers) == len(TEXTS)


def test_energy_without_a_meter_is_one_error(bundle_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from edgebert.bench.energy import Unavailable

    monkeypatch.setattr("edgebert.bench.tuning.worker.open_meter", lambda: Unavailable("there is no meter"))
    with pytest.raises(BackendError, match="Energy cannot be measured: there is no meter"):
        measure(job(bundle_path, "energy"))


def test_energy_is_counted_per_text_for_as_long_as_the_meter_needs(
    bundle_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from time import perf_counter

    from edgebert.bench.energy import EnergyMeter

    watts = 3.0
    meter = EnergyMeter("powercap", ["package-0"], 0.2, lambda: watts * perf_counter())
    monkeypatch.setattr("edgebert.bench.tuning.worker.open_meter", lambda: meter)
    trial = measure(job(bundle_path, "energy"))
    assert trial.work_seconds > 0.2
    # All passes together take as long as their texts, and a little for the clock.
    assert trial.value > 0
    assert trial.value < watts * trial.work_seconds / len(TEXTS)
    monkeypatch.setattr("edgebert.bench.tuning.worker.open_meter", lambda: EnergyMeter("x", ["x"], 0.0, lambda: 1.0))
    with pytest.raises(BackendError, match="stood still"):
        measure(job(bundle_path, "energy"))


def test_a_process_of_its_own_does_the_same(bundle_path: Path) -> None:
    result = run_job(job(bundle_path, configuration=BUCKETS), 60.0)
    assert isinstance(result, Trial)
    assert len(result.answers) == len(TEXTS)
    assert result.total_seconds > result.work_seconds > 0


def test_an_error_of_edgebert_is_its_message(bundle_path: Path) -> None:
    result = run_job(job(bundle_path, configuration=Configuration("onnx-int8", 1)), 60.0)
    assert isinstance(result, Failure)
    assert "needs onnxruntime >= 999" in result.reason


def test_a_process_that_dies_is_described(bundle_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "onnxruntime.py").write_text("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)\n")
    monkeypatch.syspath_prepend(tmp_path)
    result = run_job(job(bundle_path), 60.0)
    assert isinstance(result, Failure)
    assert "killed by SIGKILL" in result.reason


def test_a_process_that_hangs_is_ended(bundle_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "onnxruntime.py").write_text("import time\ntime.sleep(600)\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert run_job(job(bundle_path), 1.0) == OutOfTime()
    assert run_job(job(bundle_path), 0.0) == OutOfTime()
