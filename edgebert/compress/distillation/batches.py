"""Batches of tensors: padding, and the masking of words for a language model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from edgebert.compress.distillation.losses import UNLABELLED

MASK_SHARE = 0.15
"""The share of the tokens that are to be predicted."""

_REPLACED, _RANDOM = 0.8, 0.1


def mask_words(
    ids: NDArray[np.int32], random: np.random.Generator, *, mask_id: int, unknown_id: int | None, vocabulary: int
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Masks tokens as BERT does (Devlin et al. 2019, section 3.1).

    15 % of the tokens are to be predicted: of these, 80 % become the mask token, 10 % another token by chance, 10 %
    stay. The first and last token and unknown ones are left alone.

    Args:
        ids: int32 [length], the first and last of which are special.
        random: the source of chance.
        mask_id: the mask token.
        unknown_id: the unknown token.
        vocabulary: how many tokens there are to choose from.

    Returns:
        The input, and what is to be predicted (``UNLABELLED`` elsewhere), both int32 [length].
    """
    chosen = random.random(len(ids)) < MASK_SHARE
    chosen[[0, -1]] = False
    chosen &= ids != (-1 if unknown_id is None else unknown_id)
    labels = np.where(chosen, ids, UNLABELLED).astype(np.int32)
    fate = random.random(len(ids))
    others = random.integers(0, vocabulary, len(ids), dtype=np.int32)
    masked = np.where(chosen & (fate < _REPLACED), mask_id, ids)
    masked = np.where(chosen & (fate >= _REPLACED) & (fate < _REPLACED + _RANDOM), others, masked)
    return masked.astype(np.int32), labels


class Collator:
    """Makes a batch of examples.

    Args:
        pad_id: fills the shorter ones.
        per_token: whether there is a label for each token.
        masking: arguments of :func:`mask_words` for a masked language model; else ``None``.
        seed: of the masks, together with an example's place in the training.
    """

    def __init__(self, *, pad_id: int, per_token: bool, masking: Mapping[str, Any] | None, seed: int) -> None:
        self._pad_id = pad_id
        self._per_token = per_token
        self._masking = masking
        self._seed = seed

    def __call__(self, examples: Sequence[Mapping[str, Any]]) -> dict[str, torch.Tensor]:
        """``input_ids``, ``attention_mask`` int64 [batch, length], ``labels`` int64 as ``losses.decisions`` wants.

        ``answers`` as well, the teacher's logits in the form of ``losses.decisions``, if the examples have them.
        """
        rows = [self._row(example) for example in examples]
        length = max(len(ids) for ids, _ in rows)
        inputs = np.full((len(rows), length), self._pad_id, np.int64)
        mask = np.zeros((len(rows), length), np.int64)
        width = length if self._per_token else len(rows[0][1])
        labels = np.full((len(rows), width), UNLABELLED, np.int64)
        for place, (ids, own) in enumerate(rows):
            inputs[place, : len(ids)] = ids
            mask[place, : len(ids)] = 1
            labels[place, : len(own)] = own
        arrays: dict[str, NDArray[Any]] = {"input_ids": inputs, "attention_mask": mask, "labels": labels}
        if "answers" in examples[0]:
            arrays["answers"] = self._answers([example["answers"] for example in examples], length, width)
        if width == 1 and not self._per_token:
            arrays["labels"] = labels[:, 0]
        return {name: torch.from_numpy(array) for name, array in arrays.items()}

    def _answers(self, answers: Sequence[NDArray[np.float32]], length: int, width: int) -> NDArray[np.float32]:
        """[batch, classes] for texts, [batch, length, classes] for tokens, [batch, 2, length] for starts and ends."""
        if width == 1 and not self._per_token:
            return np.concatenate(answers)
        rows = np.zeros((len(answers), length, answers[0].shape[1]), np.float32)
        for place, own in enumerate(answers):
            rows[place, : len(own)] = own
        return rows if self._per_token else rows.transpose(0, 2, 1)

    def _row(self, example: Mapping[str, Any]) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        if self._masking is None:
            return example["ids"], example["labels"]
        # Of the place alone: a training that is resumed masks as one that was not stopped.
        random = np.random.default_rng([self._seed, example["position"], 1])
        return mask_words(example["ids"], random, **self._masking)


def token_types(input_ids: torch.Tensor, attention_mask: torch.Tensor, separator: int) -> torch.Tensor:
    """Which text each token belongs to, int64 [batch, length]: 1 after the first separator, 0 for padding.

    Args:
        input_ids: int64 [batch, length].
        attention_mask: int64 [batch, length].
        separator: the id of ``[SEP]``.
    """
    separators = (input_ids == separator).long()
    return ((separators.cumsum(dim=1) - separators) > 0).long() * attention_mask
