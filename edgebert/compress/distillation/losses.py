"""The triple loss of DistilBERT (Sanh et al. 2019, arXiv 1910.01108, section 3).

What a model decides is brought into rows first: one for a text, for each token, or for the start and the end of an
answer. Every loss is then a mean over rows or tokens.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

UNLABELLED = -100
"""The label of a row without a right answer."""

_NEVER = -1e4
"""The logit of a place where no answer can be; finite, so that a difference of two is 0 and not NaN."""


@dataclass(frozen=True, slots=True)
class Weights:
    """What each loss counts, and the temperature that softens both answers; the defaults are the paper's code's.

    Source: https://github.com/huggingface/transformers-research-projects/tree/main/distillation (``README.md``: 5, 2
    and 1, temperature 2).
    """

    kl: float = 5.0
    task: float = 2.0
    cos: float = 1.0
    temperature: float = 2.0


@dataclass(frozen=True, slots=True)
class Losses:
    """The losses of a batch, float32 scalars; ``total`` is their weighted sum."""

    total: Tensor
    kl: Tensor
    task: Tensor
    cos: Tensor


def decisions(task: str, logits: Tensor, labels: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Rows of logits and their labels.

    Args:
        task: the task's name.
        logits: float [batch, labels] for text classification, [batch, 2, length] for question answering (start and
            end), else [batch, length, classes].
        labels: int64 [batch], [batch, 2] or [batch, length]; :data:`UNLABELLED` for none.
        mask: bool [batch, length], whether a token is no padding.

    Returns:
        float32 [rows, classes] and int64 [rows].
    """
    logits = logits.float()
    if task == "text-classification":
        return logits, labels
    if task == "question-answering":
        return logits.masked_fill(~mask[:, None], _NEVER).flatten(0, 1), labels.flatten()
    return logits[mask], labels[mask]


def triple_loss(
    student: Tensor,
    teacher: Tensor,
    labels: Tensor,
    hidden: Tensor | None,
    teacher_hidden: Tensor | None,
    weights: Weights,
) -> Losses:
    """The weighted sum of the three losses.

    The Kullback-Leibler divergence of the student's softened answer from the teacher's, times the squared temperature,
    which keeps the gradient's size (Hinton et al. 2015, arXiv 1503.02531, section 2), mean over rows; cross-entropy
    with the label, mean over the labelled rows, 0 where there is none; one minus the cosine of the hidden states, mean
    over tokens.

    Args:
        student: float32 [rows, classes].
        teacher: float32 [rows, classes].
        labels: int64 [rows]; :data:`UNLABELLED` for none.
        hidden: the student's last hidden states, float32 [tokens, dim]; ``None`` leaves the cosine out.
        teacher_hidden: the teacher's, of the same shape.
        weights: what each counts.
    """
    softened = weights.temperature
    kl = functional.kl_div(
        functional.log_softmax(student / softened, dim=-1),
        functional.log_softmax(teacher / softened, dim=-1),
        reduction="batchmean",
        log_target=True,
    )
    kl = kl * softened**2
    labelled = (labels != UNLABELLED).sum().clamp(min=1)
    task = functional.cross_entropy(student, labels, ignore_index=UNLABELLED, reduction="sum") / labelled
    cos = torch.zeros_like(kl)
    if hidden is not None and teacher_hidden is not None:
        cos = (1 - functional.cosine_similarity(hidden, teacher_hidden, dim=-1)).mean()
    return Losses(weights.kl * kl + weights.task * task + weights.cos * cos, kl, task, cos)
