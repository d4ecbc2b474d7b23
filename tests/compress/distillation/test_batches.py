"""Padding, masking, and token types."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the convert extra")
transformers = pytest.importorskip("transformers", reason="needs the convert extra")

from edgebert.compress.distillation.batches import Collator, mask_words, token_types  # noqa: E402
from edgebert.compress.distillation.losses import UNLABELLED  # noqa: E402
from tests.runtime.tiny import make_tokenizer  # noqa: E402

MASKING = {"mask_id": 4, "unknown_id": 1, "vocabulary": 1000}


def test_shares_are_those_of_bert() -> None:
    ids = np.concatenate([[2], np.arange(5, 905), [1] * 100, [3]]).astype(np.int32)
    masked = kept = other = chosen = 0
    for seed in range(200):
        inputs, labels = mask_words(ids, np.random.default_rng(seed), **MASKING)
        wanted = labels != UNLABELLED
        assert not wanted[0] and not wanted[-1] and not wanted[ids == 1].any()
        assert (labels[wanted] == ids[wanted]).all() and (inputs[~wanted] == ids[~wanted]).all()
        chosen += wanted.sum()
        masked += (inputs[wanted] == 4).sum()
        kept += (inputs[wanted] == ids[wanted]).sum()
        other += (wanted & (inputs != 4) & (inputs != ids)).sum()
    assert chosen / (200 * 900) == pytest.approx(0.15, abs=0.01)
    assert masked / chosen == pytest.approx(0.8, abs=0.02)
    assert kept / chosen == pytest.approx(0.1, abs=0.02) and other / chosen == pytest.approx(0.1, abs=0.02)


def example(position: int, length: int) -> dict:
    return {"position": position, "ids": np.arange(10, 10 + length, dtype=np.int32), "labels": np.empty(0, np.int32)}


def test_masks_depend_on_the_place_in_the_training_alone() -> None:
    collate = Collator(pad_id=0, per_token=True, masking=MASKING, seed=3)
    together = collate([example(7, 30), example(8, 50)])
    alone = collate([example(7, 30)])
    assert torch.equal(together["input_ids"][0, :30], alone["input_ids"][0])
    assert torch.equal(together["labels"][0, :30], alone["labels"][0])
    later = collate([example(107, 30)])
    assert not torch.equal(later["input_ids"], alone["input_ids"])


def test_padding() -> None:
    collate = Collator(pad_id=9, per_token=False, masking=None, seed=0)
    rows = [{**example(0, 2), "labels": np.array([1], np.int32)}, {**example(1, 4), "labels": np.array([2], np.int32)}]
    batch = collate(rows)
    assert batch["input_ids"].tolist() == [[10, 11, 9, 9], [10, 11, 12, 13]]
    assert batch["attention_mask"].tolist() == [[1, 1, 0, 0], [1, 1, 1, 1]]
    assert batch["labels"].tolist() == [1, 2]


@pytest.mark.parametrize("pairs", [False, True])
def test_token_types_are_those_of_transformers(pairs: bool) -> None:
    tokenizer = make_tokenizer()
    tokenizer.enable_padding()
    texts = ["good film", "a very dull plot", "x"]
    encoded = tokenizer.encode_batch([(text, "the plot is bad") for text in texts] if pairs else texts)
    ids, mask, types = (
        torch.tensor([getattr(one, name) for one in encoded]) for name in ("ids", "attention_mask", "type_ids")
    )
    assert torch.equal(token_types(ids, mask, 3), types)
