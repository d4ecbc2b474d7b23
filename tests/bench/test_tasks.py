"""A benchmark of a bundle of every task, in real worker processes."""

from __future__ import annotations

import pytest

from edgebert import InputError
from edgebert.bench import Step, run_benchmark
from tests.cli.task_bundles import TASKS, task_bundle

TEXTS = ["a charming film", "the plot is dull, and the movie is not good", "bad " * 100]


@pytest.mark.parametrize("task", TASKS)
def test_every_task_is_measured(task: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    bundle = task_bundle(task, tmp_path_factory)
    report = run_benchmark(bundle, lengths=(64, 32), repetitions=2, rounds=1, threads=1, texts=TEXTS)
    [result] = report.artifacts
    assert (result.id, result.status, result.reason, result.log) == ("onnx-fp32", "measured", "", "")
    m = result.measurements
    assert m is not None
    assert {length: latency.count for length, latency in m.latency_ms.items()} == {32: 2, 64: 2}
    assert m.texts_latency_ms.count == 2
    assert min(m.first_answer_ms.median, m.texts_latency_ms.p5, m.texts_per_second.median) > 0
    assert "Latency in ms from input to answer" in report.table()


def test_what_the_task_cannot_make_is_refused_before_the_work(tmp_path_factory: pytest.TempPathFactory) -> None:
    lines: list[Step] = []
    bundle = task_bundle("zero-shot-classification", tmp_path_factory)
    with pytest.raises(InputError, match=r"An input of 16 tokens cannot be made: the shortest .* has 25"):
        run_benchmark(bundle, lengths=(16,), texts=TEXTS, progress=lines.append)
    with pytest.raises(InputError, match=r"texts\[1\]: The text is empty"):
        run_benchmark(bundle, lengths=(32,), texts=["a film", ""], progress=lines.append)
    assert lines == []
