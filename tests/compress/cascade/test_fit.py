"""The rule of a cascade: properties of temperature and threshold."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st

from edgebert.compress.cascade.fit import calibration_error, fit_temperature, fit_threshold, halves
from edgebert.runtime.cascade import confidence


@pytest.mark.parametrize("temperature", [0.3, 1.0, 4.0])
def test_the_temperature_that_labels_were_drawn_with_is_found(temperature: float) -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 3, (20000, 3)).astype(np.float32)
    gumbel = rng.gumbel(size=logits.shape)
    right = (logits / temperature + gumbel).argmax(axis=1)
    assert fit_temperature(logits, right) == pytest.approx(temperature, rel=0.05)


def test_it_is_the_least_cross_entropy_as_torch_computes_it() -> None:
    rng = np.random.default_rng(1)
    logits, right = rng.normal(0, 2, (300, 4)).astype(np.float32), rng.integers(0, 4, 300)
    right[:200] = logits[:200].argmax(axis=1)
    found = fit_temperature(logits, right)

    def loss(temperature: float) -> float:
        scaled = torch.from_numpy(logits).double() / temperature
        return float(torch.nn.functional.cross_entropy(scaled, torch.from_numpy(right)))

    assert loss(found) <= min(loss(found * 1.01), loss(found / 1.01))


def test_where_all_is_right_it_stays_above_0() -> None:
    logits = np.array([[5, 0], [0, 5]], np.float32)
    assert 1 / 20 <= fit_temperature(logits, np.array([0, 1])) < 1


def test_calibration_error() -> None:
    assert calibration_error(np.array([1.0, 1.0]), np.array([True, True])) == 0
    assert calibration_error(np.array([0.9, 0.9]), np.array([True, False])) == pytest.approx(0.4)
    assert calibration_error(np.array([0.55, 0.95]), np.array([True, True])) == pytest.approx(0.25)


texts = st.lists(
    st.tuples(st.sampled_from([0.5, 0.6, 0.7, 0.8, 0.9, 1.0]) | st.floats(0.5, 1), st.booleans(), st.booleans()),
    min_size=1,
    max_size=40,
)


def columns(rows: list[tuple[float, bool, bool]]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    sure, small, big = zip(*rows, strict=True)
    return np.array(sure), np.array(small), np.array(big)


@given(texts, st.floats(0, 1))
def test_no_more_is_lost_than_allowed(rows: list[tuple[float, bool, bool]], max_drop: float) -> None:
    sure, small, big = columns(rows)
    threshold = fit_threshold(sure, small, big, max_drop)
    assert 0 <= threshold <= 1
    kept = sure >= threshold
    # A confidence of exactly 1 is never escalated: the pipeline refuses a threshold of 1.
    assume(threshold < 1)
    assert (kept & big & ~small).sum() <= max_drop * len(rows) + 1e-6


@given(texts, st.floats(0, 1))
def test_the_next_lower_threshold_would_lose_more(rows: list[tuple[float, bool, bool]], max_drop: float) -> None:
    sure, small, big = columns(rows)
    threshold = fit_threshold(sure, small, big, max_drop)
    below = sure[sure < threshold]
    assume(len(below))
    kept = sure >= below.max()
    assert (kept & big & ~small).sum() > max_drop * len(rows) - 1e-6


@given(texts)
def test_a_small_model_that_is_never_wrong_answers_everything(rows: list[tuple[float, bool, bool]]) -> None:
    sure, _, big = columns(rows)
    assert not (sure < fit_threshold(sure, np.ones(len(rows), bool), big, 0.0)).any()


def test_confidences_next_to_each_other() -> None:
    sure = np.array([np.nextafter(0.75, 1), 0.75])
    threshold = fit_threshold(sure, np.array([True, False]), np.array([True, True]), 0.0)
    assert sure[1] < threshold <= sure[0]


def test_the_surest_answer_being_wrong_leaves_nothing() -> None:
    threshold = fit_threshold(np.array([0.99, 0.6]), np.array([False, True]), np.array([True, True]), 0.0)
    assert threshold == 1.0


@given(st.integers(2, 300), st.integers(0, 5))
def test_halves(count: int, seed: int) -> None:
    one, other = halves(count, seed)
    assert sorted([*one, *other]) == list(range(count))
    assert len(other) - len(one) in (0, 1)
    assert [part.tolist() for part in halves(count, seed)] == [one.tolist(), other.tolist()]


def test_the_confidence_of_the_runtime_is_what_is_fitted() -> None:
    assert confidence(np.array([[0.0, 0.0]], np.float32), 3.0) == pytest.approx([0.5])
