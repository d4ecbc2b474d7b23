"""How many rounds are made, and in which order: with workers that are not started, on a clock that the test sets."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import repeat
from pathlib import Path
from typing import Any

import pytest

from edgebert import InputError
from edgebert.bench import BenchmarkReport, measure, progress, rounds, run_benchmark
from edgebert.bench.report import Executed, ThermalState
from edgebert.bench.trial import Job, Refusal, Trial
from edgebert.runtime.engines.base import EngineFacts
from tests.bench.conftest import RUNNABLE

NO_HEAT = ThermalState({}, {}, {}, {})


@dataclass
class Machine:
    """Takes ``seconds`` for each worker; the ``n``-th worker of an artifact is slower by the ``n``-th factor."""

    factors: Callable[[], Iterator[float]] = lambda: repeat(1.0)
    seconds: float = 10.0
    now: float = 0.0
    jobs: list[Job] = field(default_factory=list)
    made: dict[str, Iterator[float]] = field(default_factory=dict)
    heat: tuple[ThermalState, ThermalState] = (NO_HEAT, NO_HEAT)
    breaks: str = ""

    def run(self, job: Job) -> Trial | Refusal:
        self.now += self.seconds
        self.jobs.append(job)
        if job.artifact == self.breaks:
            return Refusal("it broke")
        factor = next(self.made.setdefault(job.artifact, self.factors()))
        return Trial(
            interpreter_ms=1.0, import_ms=1.0, load_ms=1.0, first_answer_ms=1.0, first_answer_rss=None, peak_rss=None,
            latencies_ms=[[2.0 * factor] * job.repetitions for _ in job.lengths], sample_ms=[2.0] * len(job.sample),
            stream_seconds=1.0, tokenization_ms=[0.1] * len(job.lengths), sample_tokenization_ms=0.1, resident=None,
            before=self.heat[0], after=self.heat[1], joules=None,
            facts=EngineFacts(job.artifact, "onnx", "onnxruntime", "1", 1, "CPU", {}),
        )  # fmt: skip


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    made = Machine()
    monkeypatch.setattr(progress, "monotonic", lambda: made.now)
    monkeypatch.setattr(rounds, "run_worker", made.run)
    monkeypatch.setattr(measure, "ask_what_executes", lambda bundle, artifact: Executed(None, None, "not asked"))
    return made


def run(bundle: Path, **changes: Any) -> BenchmarkReport:
    options = {"artifacts": RUNNABLE[:2], "lengths": (8, 16, 32), "repetitions": 2, "texts": ["a film", "good"]}
    return run_benchmark(bundle, **{**options, **changes})


def alternating(*factors: float) -> Callable[[], Iterator[float]]:
    return lambda: iter([*factors] * 100)


def test_rounds_are_those_asked_for(machine: Machine, bundle_path: Path) -> None:
    machine.factors = alternating(1.0, 1.1)
    report = run(bundle_path, rounds=4)
    assert (report.course.rounds, report.course.ended) == (4, "rounds")
    assert len(report.plan.order) == len(report.plan.length_order) == 4
    assert report.course.seconds == 80
    assert (report.plan.precision, report.plan.budget_seconds) == (None, None)
    assert report.course.precision is not None
    assert report.course.least_sure in {f"{artifact}, {n} tokens" for artifact in RUNNABLE[:2] for n in (8, 16, 32)}


def test_a_precision_that_is_there_at_once_needs_no_more(machine: Machine, bundle_path: Path) -> None:
    report = run(bundle_path, rounds=2, precision=0.01)
    assert (report.course.rounds, report.course.ended, report.course.precision) == (2, "precision", pytest.approx(0.0))
    assert report.plan.budget_seconds == 600


def test_rounds_go_on_until_every_median_is_as_sure(machine: Machine, bundle_path: Path) -> None:
    machine.factors = alternating(1.0, 1.03)
    report = run(bundle_path, rounds=2, precision=0.02)
    assert report.course.ended == "precision"
    assert report.course.precision is not None
    assert report.course.precision <= 0.02
    # The t interval of 1 and 1.03 in turn is narrower than 2 % from the sixth round on.
    assert report.course.rounds == 6
    machine.made.clear()
    once_less = run(bundle_path, rounds=5).course.precision
    assert once_less is not None
    assert once_less > 0.02


def test_a_single_round_is_sure_of_nothing(machine: Machine, bundle_path: Path) -> None:
    course = run(bundle_path, rounds=1).course
    assert (course.precision, course.least_sure) == (None, "")
    assert run(bundle_path, rounds=1, precision=0.5).course.rounds == 2


@pytest.mark.parametrize(("budget", "rounds"), [(1, 1), (39, 1), (40, 2), (110, 5)])
def test_no_round_begins_that_would_end_after_the_budget(
    machine: Machine, bundle_path: Path, budget: float, rounds: int
) -> None:
    machine.factors = alternating(1.0, 2.0)
    report = run(bundle_path, rounds=3, precision=0.001, budget=budget)
    assert (report.course.rounds, report.course.ended) == (rounds, "budget")
    assert report.plan.budget_seconds == budget


def test_a_budget_bounds_plain_rounds_too(machine: Machine, bundle_path: Path) -> None:
    assert run(bundle_path, rounds=5, budget=50).course.rounds == 2
    assert run(bundle_path, rounds=2, budget=500).course.ended == "rounds"


def test_artifacts_and_lengths_take_turns_in_shuffled_orders(machine: Machine, bundle_path: Path) -> None:
    report = run(bundle_path, rounds=12)
    assert {tuple(sorted(ids)) for ids in report.plan.order} == {tuple(sorted(RUNNABLE[:2]))}
    assert len(set(report.plan.order)) == 2
    assert len(set(report.plan.length_order)) > 2
    for ids, lengths, jobs in zip(
        report.plan.order,
        report.plan.length_order,
        zip(machine.jobs[::2], machine.jobs[1::2], strict=True),
        strict=True,
    ):
        assert tuple(job.artifact for job in jobs) == ids
        # The same order and the same texts for all artifacts of a round.
        assert {tuple((8, 16, 32)[place] for place in job.length_order) for job in jobs} == {lengths}
        assert jobs[0].sample == jobs[1].sample


def test_the_seed_decides_the_orders_and_the_texts(machine: Machine, bundle_path: Path) -> None:
    texts = [f"film {number}" for number in range(9)]

    def drawn(seed: int) -> tuple[object, ...]:
        machine.jobs.clear()
        plan = run(bundle_path, seed=seed, texts=texts).plan
        return plan.order, plan.length_order, tuple(tuple(job.sample) for job in machine.jobs)

    assert drawn(3) == drawn(3)
    assert len({drawn(seed) for seed in range(4)}) == 4


def test_an_artifact_that_fails_is_not_waited_for(machine: Machine, bundle_path: Path) -> None:
    machine.breaks = RUNNABLE[0]
    report = run(bundle_path, rounds=2, precision=0.01)
    assert report.course.ended == "precision"
    assert {result.id: result.status for result in report.artifacts} == {RUNNABLE[0]: "failed", RUNNABLE[1]: "measured"}
    assert len(machine.jobs) == 3
    alone = run(bundle_path, rounds=5, precision=0.01, artifacts=RUNNABLE[:1])
    assert (alone.course.rounds, alone.course.precision) == (1, None)


def test_throttling_makes_the_figures_noisy(machine: Machine, bundle_path: Path) -> None:
    machine.heat = NO_HEAT, ThermalState({"cpu": 90.0}, {}, {}, {"count:x": 1})
    assert not [sentence for sentence in run(bundle_path).noise if "throttled" in sentence]
    machine.heat = (
        ThermalState({"cpu": 60.0}, {}, {}, {"count:core_throttle_count": 0}),
        ThermalState({"cpu": 90.0}, {}, {}, {"count:core_throttle_count": 7}),
    )
    report = run(bundle_path, rounds=2)
    said = "the machine throttled in 2 of 2 rounds: core_throttle_count rose by 7"
    assert {f"{artifact}: {said}" for artifact in RUNNABLE[:2]} <= set(report.noise)
    m = report.artifacts[0].measurements
    assert m is not None
    assert [heat.after.temperatures_c for heat in m.thermal] == [{"cpu": 90.0}] * 2


@pytest.mark.parametrize(
    "option", [{"precision": 0.0}, {"precision": 1.0}, {"precision": float("nan")}, {"budget": 0.0}, {"budget": -1}]
)
def test_what_cannot_be_asked_for_is_refused(bundle_path: Path, option: dict[str, float]) -> None:
    with pytest.raises(InputError, match=f"{next(iter(option))}=.* is not allowed") as caught:
        run(bundle_path, **option)
    assert caught.value.hint
