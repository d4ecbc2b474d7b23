"""Cascades: a small model answers what it is sure of, a bigger one the rest.

The confidence of an answer is its largest probability after temperature scaling (Guo et al. 2017, arXiv 1706.04599);
the two-stage rule with a threshold on it is Viola and Jones's (2001), and FrugalML's (Chen et al. 2020, arXiv
2006.07512) for models.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgebert.bundle import Cascade


@dataclass(frozen=True, slots=True)
class Escalations:
    """How many inputs were answered, and how many of them by the bigger model of a cascade."""

    answered: int = 0
    escalated: int = 0

    @property
    def share(self) -> float:
        """The share escalated, in [0, 1]; 0 when nothing was answered."""
        return self.escalated / self.answered if self.answered else 0.0


class Tally:
    """Counts escalations, from many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts = Escalations()

    def add(self, answered: int, escalated: int) -> None:
        """Counts so many more."""
        with self._lock:
            self._counts = Escalations(self._counts.answered + answered, self._counts.escalated + escalated)

    @property
    def counts(self) -> Escalations:
        """What was counted so far."""
        return self._counts


def confidence(logits: NDArray[np.float32], temperature: float) -> NDArray[np.float64]:
    """The largest probability of each row.

    Args:
        logits: ``[n, labels]``.
        temperature: what they are divided by.

    Returns:
        float64 ``[n]``, from 1 / labels to 1.
    """
    scaled = logits.astype(np.float64) / temperature
    # 1 / sum(exp(x - max)) is softmax's largest value.
    largest: NDArray[np.float64] = np.reciprocal(np.exp(scaled - scaled.max(axis=-1, keepdims=True)).sum(axis=-1))
    return largest


def doubts(rule: Cascade, logits: NDArray[np.float32]) -> bool:
    """Whether the answer with these logits, ``[n, labels]``, is one for the bigger model."""
    return bool((confidence(logits, rule.temperature) < rule.threshold).any())
