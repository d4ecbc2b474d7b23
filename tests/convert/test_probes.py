"""Inputs made from texts."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("torch")

from edgebert.bundle import dump_golden, load_golden
from edgebert.convert.probes import (
    MAX_CALIBRATION_INPUTS,
    calibration_inputs,
    golden_inputs,
    golden_spread,
    pad,
    probe_lengths,
    texts_of_length,
)
from edgebert.errors import DataError
from edgebert.runtime.tokenization import TextTokenizer
from tests.convert import models

PAD, CLS, SEP = 0, 2, 3
TOKENIZER = TextTokenizer(models.make_tokenizer().to_str().encode(), max_length=64)
TEXTS = models.texts(40, longest=90)


def reference(ids: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """A stand-in for the checkpoint: each row's answer is its own, and depends on its tokens alone."""
    sums = ((ids * mask) % 13).sum(axis=1)
    return np.stack([sums, -sums], axis=1).astype(np.float32)


@given(st.lists(st.integers(2, 64), max_size=6))
def test_probe_lengths_are_around_every_bucket(buckets: list[int]) -> None:
    lengths = probe_lengths(64, buckets)
    assert list(lengths) == sorted(set(lengths))
    assert all(2 <= length <= 64 for length in lengths)
    assert {2, 3, 64} <= set(lengths)
    assert {n for bucket in buckets for n in (bucket - 1, bucket, bucket + 1) if 2 <= n <= 64} <= set(lengths)


def test_probe_lengths_of_the_shortest_model() -> None:
    assert probe_lengths(3, [3]) == (2, 3)


def test_texts_of_length_are_running_text_in_special_tokens() -> None:
    lengths = [2, 3, 5, 17, 64, 64]
    rows = texts_of_length(TOKENIZER, TEXTS, lengths)
    assert [len(row) for row in rows] == lengths
    for row in rows:
        assert (row[0], row[-1]) == (CLS, SEP)
        assert row.dtype == np.int32
        assert not {CLS, SEP, PAD} & set(row[1:-1].tolist())
    assert not np.array_equal(rows[-1], rows[-2])
    body = [token for text in TEXTS for token in TOKENIZER.encode(text, truncation=True)[0].input_ids[1:-1]]
    assert [token for row in rows for token in row[1:-1]] == body[: sum(lengths) - 2 * len(lengths)]


def test_texts_are_used_again_when_they_are_too_few() -> None:
    (row,) = texts_of_length(TOKENIZER, ["good", "bad"], [64])
    assert len(row) == 64


def test_texts_without_tokens_are_refused() -> None:
    with pytest.raises(DataError, match="no token"):
        texts_of_length(TOKENIZER, ["\u200b\x07", "\x00", " "], [2, 16])


@given(st.integers(1, 20), st.integers(0, 20))
def test_pad(tokens: int, padding: int) -> None:
    ids, mask = pad(np.arange(5, 5 + tokens, dtype=np.int32), tokens + padding, 9)
    assert ids.shape == mask.shape == (1, tokens + padding)
    assert ids.dtype == mask.dtype == np.int32
    assert ids[0].tolist() == [*range(5, 5 + tokens), *[9] * padding]
    assert mask[0].tolist() == [1] * tokens + [0] * padding


@settings(deadline=None, max_examples=25)
@given(st.integers(8, 1500), st.integers(0, 99))
def test_calibration_is_an_even_sample_of_varied_length_some_padded(count: int, seed: int) -> None:
    texts = models.texts(count, seed=seed, longest=30)
    inputs = calibration_inputs(TOKENIZER, texts, PAD)
    assert len(inputs) == min(count, MAX_CALIBRATION_INPUTS)
    padded = 0
    for ids, mask in inputs:
        assert ids.shape == mask.shape
        assert ids.shape[0] == 1
        assert ids.shape[1] <= TOKENIZER.max_length
        assert mask[0, 0] == 1
        assert (np.diff(mask[0]) <= 0).all()  # padding stands behind the text
        assert (ids[mask == 0] == PAD).all()
        padded += bool((mask == 0).any())
    assert 0 < padded < len(inputs) / 2
    assert len({ids.shape[1] for ids, _ in inputs}) > 1
    last = TOKENIZER.encode(texts[-1], truncation=True)[0].input_ids
    if count <= MAX_CALIBRATION_INPUTS:  # all of them, in order
        assert inputs[-1][0][0, : len(last)].tolist() == last.tolist()


def test_calibration_cuts_texts_to_the_models_length() -> None:
    inputs = calibration_inputs(TOKENIZER, ["good " * 500] * 8, PAD)
    assert {ids.shape for ids, _ in inputs} == {(1, 64)}
    assert all(mask.all() for _, mask in inputs)


@pytest.mark.parametrize("buckets", [(64,), (8, 16, 64), (3, 64), (5,)])
def test_golden_rows(buckets: tuple[int, ...]) -> None:
    golden = golden_inputs(TOKENIZER, TEXTS, reference, buckets, PAD)
    lengths = golden.attention_mask.sum(axis=1).tolist()
    assert golden.input_ids.shape == golden.attention_mask.shape == (2 + len(buckets), max(buckets))
    assert lengths[2:] == list(buckets)
    for row, length, expected in zip(golden.input_ids, lengths, golden.outputs["logits"], strict=True):
        alone = row[None, :length]
        np.testing.assert_array_equal(reference(alone, np.ones_like(alone))[0], expected)
    # The load-time self-test runs the two shortest rows: those must be the two that are told apart best.
    assert sorted(range(len(lengths)), key=lengths.__getitem__)[:2] in ([0, 1], [1, 0])
    assert golden_spread(golden) > 0
    copy = load_golden(dump_golden(golden))
    np.testing.assert_array_equal(copy.input_ids, golden.input_ids)
    np.testing.assert_array_equal(copy.outputs["logits"], golden.outputs["logits"])


def test_the_first_two_golden_rows_are_as_far_apart_as_any_two_short_texts() -> None:
    golden = golden_inputs(TOKENIZER, TEXTS, reference, (64,), PAD)
    rows = [TOKENIZER.encode(text)[0].input_ids for text in TEXTS if len(text.split()) < 10]
    answers = [reference(row[None], np.ones((1, len(row)), np.int32)) for row in rows if len(row) <= 12]
    assert len(answers) > 3
    widest = max(np.abs(one - other).max() for one in answers for other in answers)
    assert golden_spread(golden) == widest


def test_golden_rows_of_long_texts_only() -> None:
    golden = golden_inputs(TOKENIZER, ["good bad dull plot fine film " * 20] * 8, reference, (8, 64), PAD)
    assert golden.attention_mask.sum(axis=1).tolist() == [8, 8, 8, 64]
    assert golden_spread(golden) > 0


def test_a_great_many_texts_cost_no_more_than_a_sample() -> None:
    calls = []

    def counting(ids: np.ndarray, mask: np.ndarray) -> np.ndarray:
        calls.append(ids.shape)
        return reference(ids, mask)

    golden_inputs(TOKENIZER, ["good", "bad film"] * 20_000, counting, (64,), PAD)
    assert len(calls) <= MAX_CALIBRATION_INPUTS + 3
