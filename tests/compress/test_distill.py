import random

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs the convert extra")
pytest.importorskip("transformers", reason="needs the convert extra")

import torch
import transformers
from hypothesis import given
from hypothesis import strategies as st

from edgebert.compress.distill import (
    Example,
    Recipe,
    accuracy,
    distillation_loss,
    join_examples,
    length_batches,
    pad,
    predict,
    project_embeddings,
    train,
)


def tiny_model():
    torch.manual_seed(0)
    config = transformers.DistilBertConfig(
        vocab_size=20, dim=16, n_layers=1, n_heads=2, hidden_dim=32, max_position_embeddings=16
    )
    return transformers.DistilBertForSequenceClassification(config)


def test_the_loss_is_cross_entropy_when_all_weight_is_hard():
    logits, labels = torch.tensor([[2.0, -1.0], [0.5, 0.0]]), torch.tensor([0, 1])
    loss = distillation_loss(logits, -logits, labels, temperature=3.0, hard_weight=1.0)
    assert loss.item() == pytest.approx(torch.nn.functional.cross_entropy(logits, labels).item())


def test_the_soft_loss_is_the_scaled_divergence_from_the_teacher():
    student, teacher = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 2.0]])
    loss = distillation_loss(student, teacher, torch.tensor([0]), temperature=2.0, hard_weight=0.0)
    p, q = np.exp([0.0, 1.0]) / np.exp([0.0, 1.0]).sum(), np.exp([0.5, 0.0]) / np.exp([0.5, 0.0]).sum()
    assert loss.item() == pytest.approx(4 * float(np.sum(p * np.log(p / q))), rel=1e-5)


def test_the_soft_loss_is_zero_for_equal_answers():
    logits = torch.tensor([[1.0, 0.0], [3.0, -2.0]])
    loss = distillation_loss(logits, logits + 5, torch.tensor([0, 0]), temperature=2.0, hard_weight=0.0)
    assert loss.item() == pytest.approx(0.0, abs=1e-6)


def test_projection_keeps_what_lies_in_the_first_axes():
    rng = np.random.default_rng(0)
    table = (rng.normal(size=(50, 3)) @ rng.normal(size=(3, 8))).astype(np.float32)  # rank 3
    projected = project_embeddings(table, 3, std=0.05)
    assert projected.shape == (50, 3)
    assert projected.dtype == np.float32
    assert projected.std() == pytest.approx(0.05, rel=1e-4)
    before = np.linalg.norm(table[:, None] - table[None], axis=-1)
    after = np.linalg.norm(projected[:, None] - projected[None], axis=-1)
    np.testing.assert_allclose(after / after.max(), before / before.max(), atol=1e-4)


@given(lengths=st.lists(st.integers(1, 50), max_size=500), size=st.integers(1, 9), seed=st.integers(0, 9))
def test_batches_hold_each_text_once(lengths, size, seed):
    batches = list(length_batches(lengths, size, random.Random(seed)))
    assert sorted(index for batch in batches for index in batch) == list(range(len(lengths)))
    assert all(1 <= len(batch) <= size for batch in batches)


def test_batches_hold_texts_of_similar_length():
    lengths = [random.Random(0).randint(1, 50) for _ in range(200)]
    batches = list(length_batches(lengths, 4, random.Random(0)))
    padded = sum(len(batch) * max(lengths[index] for index in batch) for batch in batches)
    assert padded < 1.05 * sum(lengths)


@given(count=st.integers(0, 20), longest=st.integers(7, 60), seed=st.integers(0, 9))
def test_joined_texts_are_examples_of_one_label_in_a_row(count, longest, seed):
    examples = [Example((2, *[10 + n] * (n % 5 + 1), 3), n % 2, (float(n % 2), -float(n))) for n in range(20)]
    inner = {example.ids[1]: example for example in examples}
    joined = join_examples(examples, count=count, longest=longest, seed=seed)
    assert len(joined) == count
    for text in joined:
        assert len(text.ids) <= longest
        assert (text.ids[0], text.ids[-1]) == (2, 3)
        assert {inner[token].label for token in text.ids[1:-1]} == {text.label}
        assert text.teacher[0] == text.label  # the mean of equal logits


def test_padding_is_masked():
    inputs, mask = pad([(2, 7, 3), (2, 3)], pad_id=0)
    assert inputs.tolist() == [[2, 7, 3], [2, 3, 0]]
    assert mask.tolist() == [[1, 1, 1], [1, 1, 0]]


def test_predictions_come_in_the_order_of_the_texts():
    model, texts = tiny_model(), [(2, 5, 3), (2, 6, 7, 8, 3), (2, 9, 9, 3)]
    together = predict(model, texts, pad_id=0, batch_size=2)
    alone = np.concatenate([predict(model, [text], pad_id=0) for text in texts])
    np.testing.assert_allclose(together, alone, atol=1e-5)


def test_training_learns_a_rule_and_reports_each_epoch():
    rng = random.Random(0)
    examples = []
    for _ in range(256):
        label = rng.randint(0, 1)
        ids = (2, 5 + label, *(rng.randint(7, 19) for _ in range(rng.randint(1, 5))), 3)
        examples.append(Example(ids, label, (3.0 - 6 * label, 6 * label - 3.0)))
    model, reported = tiny_model(), []
    recipe = Recipe(epochs=8, batch_size=16, learning_rate=5e-3, mask_rate=0.0)
    curve = train(
        model,
        examples[:192],
        examples[192:],
        recipe,
        pad_id=0,
        mask_id=4,
        seed=0,
        bfloat16=False,
        report=reported.append,
    )
    assert curve == reported
    assert [epoch.number for epoch in curve] == list(range(1, 9))
    assert curve[-1].loss < curve[0].loss
    assert curve[-1].accuracy > 0.95
    assert accuracy(model, examples[192:], 0) == curve[-1].accuracy
