"""What happens inside a worker process, in this one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from edgebert.bench import EnergyMeter, Unavailable, worker
from edgebert.bench.trial import Job, Trial, dump_answer, parse_answer
from tests.bench.conftest import TEXTS


def job(bundle: Path, **changes: object) -> Job:
    options = {"threads": 1, "repetitions": 3, "lengths": ["good", "a charming film"], "sample": list(TEXTS[:2])}
    return Job(bundle=str(bundle), artifact="onnx-fp32", texts=list(TEXTS), **{**options, **changes})  # type: ignore[arg-type]


@pytest.fixture
def unmetered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "open_meter", lambda battery: Unavailable("none"))


@pytest.mark.usefixtures("unmetered")
def test_lengths_are_timed_in_the_order_asked_for_and_told_in_that_of_the_list(
    bundle_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import edgebert

    asked: list[object] = []
    real = edgebert.Model.__call__
    monkeypatch.setattr(edgebert.Model, "__call__", lambda self, item: asked.append(item) or real(self, item))
    trial = worker.measure(job(bundle_path, length_order=[1, 0]), 1.0, 2.0)
    assert [len(values) for values in trial.latencies_ms] == [3, 3]
    calls = worker.WARMUP_RUNS + 3
    # The first answer and the warm-up before the heat is read come first.
    assert asked[1 + worker.WARMUP_RUNS :][: 2 * calls] == ["a charming film"] * calls + ["good"] * calls
    assert (trial.interpreter_ms, trial.import_ms, trial.joules) == (1.0, 2.0, None)
    assert trial.resident is not None
    assert all(value > 0 for value in [*trial.tokenization_ms, trial.sample_tokenization_ms])
    # Tokenization is part of what is timed from input to answer.
    assert trial.tokenization_ms[0] < max(trial.latencies_ms[0])


def test_an_answer_survives_its_journey(bundle_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Every look at the meter finds a joule more; a pass of a meter that needs no time is one call.
    looks: Iterator[int] = iter(range(1000))
    meter = EnergyMeter("powercap", ["package-0"], 1e-9, lambda: float(next(looks)))
    monkeypatch.setattr(worker, "open_meter", lambda battery: meter)
    trial = worker.measure(job(bundle_path), 1.0, 2.0)
    assert trial.joules is not None
    assert trial.joules.per_inference == pytest.approx(1 / 2)  # two texts in the sample
    assert trial.joules.per_text == pytest.approx(1 / len(TEXTS))
    back = parse_answer(dump_answer(trial))
    assert isinstance(back, Trial)
    assert back == trial


def test_a_meter_that_stands_still_measures_nothing(bundle_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[bool] = []

    def still(battery: bool) -> EnergyMeter:
        asked.append(battery)
        return EnergyMeter("battery", ["BAT0"], 1e-9, lambda: 5.0)

    monkeypatch.setattr(worker, "open_meter", still)
    assert worker.measure(job(bundle_path, battery=True), 1.0, 2.0).joules is None
    assert asked == [True]
