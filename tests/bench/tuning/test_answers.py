"""What is compared of results, of every task, and how much may differ."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from math import isnan
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import edgebert
from edgebert.bench.tuning.answers import (
    Answer,
    answer_options,
    compare,
    plausible,
    read_answer,
    why_unsteady,
    why_wrong,
)
from edgebert.bundle import open_bundle
from edgebert.bundle.schema import TASKS
from tests.bundle import samples
from tests.runtime import every_task

TEXTS = ("a charming film", "the plot is dull, and the movie is not good", "great")


def answers(path: Path, artifact: str) -> dict[int, Answer]:
    task = open_bundle(path).manifest.task
    with edgebert.load(path, artifact=artifact, threads=1) as model:
        options = {**model.example("")[1], **answer_options(task)}
        results = model([model.example(text)[0] for text in TEXTS], **options)
    return {index: read_answer(task, result) for index, result in enumerate(results)}


@pytest.mark.parametrize("name", sorted(TASKS))
def test_two_artifacts_of_every_task_are_compared(name: str, tmp_path: Path) -> None:
    path = every_task.write_bundle(every_task.make_checkpoint(name), tmp_path / "tiny.edgebert")
    manifest = open_bundle(path).manifest
    one, other = manifest.artifacts[0], manifest.artifacts[-1]
    found = compare(answers(path, one.id), answers(path, other.id))
    vectors = name in ("feature-extraction", "sentence-similarity")
    assert found.texts == len(TEXTS)
    assert (found.decisions > 0) is not vectors
    assert found.different == 0
    assert found.worst < 1e-3
    assert why_wrong(found, other, one, cascade=False) == ""
    swapped = dict(zip((1, 2, 0), answers(path, one.id).values(), strict=True))
    assert why_unsteady(compare(swapped, answers(path, one.id)), one, "1 thread") != ""


def test_of_a_classifier_logits_and_the_label_are_compared() -> None:
    task = samples.TASKS["text-classification"]
    result = [{"label": "POSITIVE", "score": 3.5}, {"label": "NEGATIVE", "score": -2.0}]
    assert read_answer(task, result) == Answer(("POSITIVE",), (-2.0, 3.5))
    several = replace(task, problem_type="multi_label_classification")
    assert read_answer(several, result).decisions == ("NEGATIVE: False", "POSITIVE: True")
    number = replace(task, problem_type="regression", labels=("LABEL_0",))
    assert read_answer(number, [{"label": "LABEL_0", "score": 0.25}]) == Answer((), (0.25,))


def test_of_long_vectors_some_numbers_are_compared() -> None:
    result = [[[float(index) for index in range(768)]] * 50]
    found = read_answer(samples.TASKS["feature-extraction"], result)
    assert found.decisions == ()
    assert 200 < len(found.numbers) <= 256


def compared(*pairs: tuple[Answer, Answer]) -> tuple[int, float]:
    one, other = ({index: pair[side] for index, pair in enumerate(pairs)} for side in (0, 1))
    found = compare(one, other)
    assert found.texts == len(pairs)
    return found.different, found.worst


def test_differences_are_counted() -> None:
    yes, no = Answer(("yes",), (1.0, 0.5)), Answer(("no",), (0.5, 1.0))
    assert compared((yes, yes), (no, no)) == (0, 0.0)
    assert compared((yes, yes), (yes, no), (no, yes)) == (2, 0.0)
    assert compared((yes, replace(yes, numbers=(1.25, 0.5)))) == (0, 0.25)
    assert compared((yes, Answer(("no",), (1.00001, 0.5)))) == (0, 0.0)  # a tie
    assert compared((yes, Answer(("yes", "no"), (1.0, 0.5, 0.5)))) == (2, 0.0)


@pytest.mark.parametrize("numbers", [(float("nan"), 0.5), (1.0, float("nan"))])
def test_what_is_no_number_is_the_largest_difference(numbers: tuple[float, float]) -> None:
    one = Answer(("yes",), (1.0, 0.5))
    other = replace(one, numbers=numbers)
    for pairs in ([(one, other), (one, one)], [(one, one), (one, other)]):
        different, worst = compared(*pairs)
        assert different == 0
        assert isnan(worst)
        found = compare({0: one}, {0: other})
        assert why_wrong(found, samples.artifact(), samples.artifact(), cascade=False) != ""
        assert why_unsteady(found, samples.artifact(), "1 thread") != ""


def test_only_texts_that_both_answered_count() -> None:
    yes = Answer(("yes",), ())
    assert compare({0: yes, 1: yes}, {1: yes, 7: yes}).texts == 1


@given(st.integers(0, 300), st.floats(0.001, 0.999))
def test_what_is_plausible_is_a_quantile_of_the_binomial_distribution(count: int, share: float) -> None:
    most = plausible(count, share)
    assert 0 <= most <= count
    # Hoeffding's inequality: a share above the expected by t has at most the probability exp(-2 n t^2).
    assert most <= count * share + (3.5 * count) ** 0.5 + 1


@pytest.mark.parametrize(
    ("count", "share", "most"), [(0, 0.5, 0), (12, 0.005, 2), (100, 0.005, 4), (100, 0.025, 8), (10, 1.0, 10)]
)
def test_known_quantiles(count: int, share: float, most: int) -> None:
    # scipy.stats.binom.ppf(0.999, count, share)
    assert plausible(count, share) == most


def test_a_pair_of_artifacts_may_differ_by_the_evidence_of_both() -> None:
    artifact = samples.artifact(
        "openvino-int8", tolerance=0.2, evidence=replace(samples.artifact().evidence, max_abs_diff=0.5)
    )
    yes = Answer(("yes",), (1.0,))
    for off, right in ((0.9, True), (1.1, False)):
        found = compare({0: yes}, {0: replace(yes, numbers=(1.0 + off,))})
        said = why_wrong(found, artifact, samples.artifact("onnx-fp32"), cascade=False)
        assert (said == "") is right, said


def test_the_options_are_the_tasks_own() -> None:
    from edgebert.runtime.tasks import open_task

    for task in samples.TASKS.values():
        handler = open_task(task)
        options: Mapping[str, object] = {**handler.example_options, **answer_options(task)}
        handler.parse_options(**options)
