"""The arithmetic that a classification needs, counted; and how much of the machine's rate that is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Shape:
    """The sizes of a DistilBERT with a classification head, by the names of its ``config.json``."""

    dim: int
    hidden_dim: int
    n_layers: int
    labels: int


@dataclass(frozen=True, slots=True)
class Work:
    """Floating-point (or integer) operations; a multiplication and its addition are two.

    Attributes:
        linear: products with weights.
        attention: products of queries with keys, and of what comes of it with values.
    """

    linear: float
    attention: float


COUNTED = (
    "products with weights and of attention, two operations per multiplication; of each text its own tokens, without "
    "padding; of the last layer keys and values of all tokens, and everything else of the one token that the head reads"
)


def needed(tokens: Sequence[int], shape: Shape) -> Work:
    """The work of the texts with these lengths, with everything left out that does not change an answer.

    No padding, and of the last layer the one row that the head reads; embeddings, normalisation, softmax and GELU are
    not counted: they are no matrix products.
    """
    dim, hidden = shape.dim, shape.hidden_dim
    row = 2 * (4 * dim * dim + 2 * dim * hidden)  # q, k, v, out; the two of the feed-forward part
    total, texts = sum(tokens), len(tokens)
    linear = (shape.n_layers - 1) * total * row
    linear += total * 2 * (2 * dim * dim)  # the last layer's k and v
    linear += texts * (row - 2 * (2 * dim * dim))  # the rest of it, of one row
    linear += texts * 2 * (dim * dim + dim * shape.labels)  # the head
    attention = (shape.n_layers - 1) * sum(4 * count * count * dim for count in tokens) + 4 * total * dim
    return Work(float(linear), float(attention))


def share(work: Work, seconds: float, linear_rate: float, attention_rate: float) -> float:
    """The time that the work takes at the machine's rates, as a share of the time that it took.

    Args:
        work: what was needed.
        seconds: what it took.
        linear_rate: operations per second of products with weights, in the arithmetic used.
        attention_rate: the same for attention, which is float32 in all artifacts.
    """
    return (work.linear / linear_rate + work.attention / attention_rate) / seconds
