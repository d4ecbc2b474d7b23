"""The triple loss equals the same formulas in numpy."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the convert extra")

from hypothesis import given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402

from edgebert.compress.distillation.losses import (  # noqa: E402
    UNLABELLED,
    Weights,
    decisions,
    triple_loss,
)


def log_softmax(rows: np.ndarray) -> np.ndarray:
    shifted = rows - rows.max(axis=1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))


def reference(student, teacher, labels, hidden, their_hidden, weights) -> tuple[float, float, float]:
    t = weights.temperature
    ours, theirs = log_softmax(student / t), log_softmax(teacher / t)
    kl = t**2 * (np.exp(theirs) * (theirs - ours)).sum(axis=1).mean()
    right = [-log_softmax(student)[row, label] for row, label in enumerate(labels) if label != UNLABELLED]
    cosines = (hidden * their_hidden).sum(axis=1) / (
        np.linalg.norm(hidden, axis=1) * np.linalg.norm(their_hidden, axis=1)
    )
    return kl, float(np.mean(right)) if right else 0.0, (1 - cosines).mean()


@given(
    rows=st.integers(1, 6),
    classes=st.integers(2, 7),
    tokens=st.integers(1, 5),
    weights=st.builds(
        Weights,
        st.floats(0, 10),
        st.floats(0, 10),
        st.floats(0, 10),
        st.floats(0.5, 8),
    ),
    seed=st.integers(0, 2**32 - 1),
)
@settings(deadline=None, max_examples=60)
def test_the_loss_is_that_of_numpy(rows: int, classes: int, tokens: int, weights: Weights, seed: int) -> None:
    random = np.random.default_rng(seed)
    student, teacher = random.normal(0, 3, (2, rows, classes))
    hidden, theirs = random.normal(0, 1, (2, tokens, 4))
    labels = random.choice([UNLABELLED, *range(classes)], rows)
    losses = triple_loss(
        torch.tensor(student),
        torch.tensor(teacher),
        torch.tensor(labels),
        torch.tensor(hidden),
        torch.tensor(theirs),
        weights,
    )
    kl, task, cos = reference(student, teacher, labels, hidden, theirs, weights)
    np.testing.assert_allclose([losses.kl, losses.task, losses.cos], [kl, task, cos], rtol=1e-6, atol=1e-9)
    total = weights.kl * kl + weights.task * task + weights.cos * cos
    np.testing.assert_allclose(losses.total, total, rtol=1e-6, atol=1e-8)


def test_a_student_that_answers_as_its_teacher_has_no_soft_loss() -> None:
    logits, hidden = torch.randn(3, 4), torch.randn(5, 8)
    losses = triple_loss(logits, logits, torch.full((3,), UNLABELLED), hidden, hidden, Weights())
    assert losses.total.item() == pytest.approx(0, abs=1e-5)


def test_the_gradient_points_to_the_teacher() -> None:
    student = torch.zeros(1, 3, requires_grad=True)
    teacher = torch.tensor([[3.0, 0.0, 0.0]])
    triple_loss(student, teacher, torch.tensor([UNLABELLED]), None, None, Weights()).total.backward()
    assert student.grad[0, 0] < 0 < student.grad[0, 1]


def test_padding_is_no_place_for_an_answer() -> None:
    logits = torch.randn(2, 2, 5)
    mask = torch.tensor([[1, 1, 1, 0, 0], [1, 1, 1, 1, 1]]).bool()
    labels = torch.tensor([[0, 2], [1, 4]])
    rows, answers = decisions("question-answering", logits, labels, mask)
    assert rows.shape == (4, 5) and answers.tolist() == [0, 2, 1, 4]
    assert rows.softmax(dim=1)[:2, 3:].eq(0).all()
    other = logits.clone()
    other[0, :, 3:] = 100.0
    again, _ = decisions("question-answering", other, labels, mask)
    assert torch.equal(rows, again)


def test_only_tokens_that_are_no_padding_decide() -> None:
    mask = torch.tensor([[1, 1, 0], [1, 0, 0]]).bool()
    logits, labels = torch.arange(12.0).reshape(2, 3, 2), torch.tensor([[5, 6, 7], [8, 9, 10]])
    rows, answers = decisions("token-classification", logits, labels, mask)
    assert rows.tolist() == [[0, 1], [2, 3], [6, 7]] and answers.tolist() == [5, 6, 8]
