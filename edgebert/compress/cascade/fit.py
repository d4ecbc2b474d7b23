"""The rule of a cascade: a temperature, and a threshold on the confidence.

All arrays are of one set of texts: logits float32 [texts, labels], right classes int64 [texts], and for a model whether
it answers rightly, bool [texts].
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

_LOWEST, _HIGHEST = 1 / 20, 20.0
_STEPS = 100
_BINS = 15

Bools = NDArray[np.bool_]


def fit_temperature(logits: NDArray[np.float32], right: NDArray[Any]) -> float:
    """The temperature with the least cross-entropy (Guo et al. 2017, arXiv 1706.04599, section 4.2).

    Between 1/20 and 20: on texts that are all answered rightly it would be 0. The cross-entropy is convex in the
    inverse of the temperature, so that a golden-section search finds the least.
    """
    scaled = logits.astype(np.float64)

    def loss(inverse: float) -> float:
        values = scaled * inverse
        values = values - values.max(axis=1, keepdims=True)
        chosen = values[np.arange(len(values)), right]
        return float((np.log(np.exp(values).sum(axis=1)) - chosen).mean())

    low, high = 1 / _HIGHEST, 1 / _LOWEST
    shrink = (5**0.5 - 1) / 2
    for _ in range(_STEPS):
        one, other = high - shrink * (high - low), low + shrink * (high - low)
        low, high = (low, other) if loss(one) <= loss(other) else (one, high)
    return 2 / (low + high)


def calibration_error(confidence: NDArray[np.float64], correct: Bools) -> float:
    """The expected calibration error, over 15 bins of equal width (Guo et al. 2017, section 2), in [0, 1]."""
    bins = np.minimum((confidence * _BINS).astype(int), _BINS - 1)
    gaps = (abs(float(confidence[bins == b].sum()) - int(correct[bins == b].sum())) for b in range(_BINS))
    return sum(gaps) / len(confidence)


def fit_threshold(confidence: NDArray[np.float64], small: Bools, big: Bools, max_drop: float) -> float:
    """The lowest threshold at which the small model loses at most ``max_drop`` of the texts.

    Lost is a text that the bigger model answers rightly and the cascade does not. What the small model answers rightly
    and the bigger one does not is not counted against it: on a few hundred texts that is mostly luck, and a threshold
    that was chosen with it loses more on other texts than it was allowed.

    Returns:
        From 0 to 1, half-way between two confidences that occur. The least that occurs, if the small model may answer
        every text; 1, if none.
    """
    order = np.argsort(-confidence, kind="stable")
    ranked = confidence[order]
    # What is lost when the small model answers the n most confident texts, for n = 1, 2, ...
    lost = np.cumsum(big[order] & ~small[order])
    # Texts of the same confidence go together.
    ends = np.flatnonzero(np.append(ranked[:-1] > ranked[1:], True))
    allowed = int((lost[ends] <= max_drop * len(order) + 1e-9).sum())
    if allowed == 0:
        return 1.0
    last = ends[allowed - 1]
    if last + 1 == len(ranked):
        return float(ranked[last])
    # Above what is escalated also where the two are as close as floats can be.
    return max(float((ranked[last] + ranked[last + 1]) / 2), float(np.nextafter(ranked[last + 1], 2.0)))


def halves(count: int, seed: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """The indices of the texts to fit on, and of those to report on, each ascending."""
    order = np.random.default_rng(seed).permutation(count)
    return np.sort(order[: count // 2]), np.sort(order[count // 2 :])
