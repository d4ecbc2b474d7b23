"""From texts of many lengths to the batches that an artifact takes."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass

from edgebert.bundle.schema import Shapes

MAX_PADDING = 0.125
"""The largest share of padding in a batch. More padding costs more arithmetic than a smaller batch costs overhead."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Texts that run together: their indices, and the length in tokens that they are padded to."""

    indices: tuple[int, ...]
    length: int


def plan_batches(lengths: Sequence[int], shapes: Shapes, batch_size: int) -> list[Batch]:
    """Group texts for an artifact.

    Dynamic shapes: texts of similar length run together, at most ``batch_size`` of them, and are padded to the
    longest of the group; padding stays below :data:`MAX_PADDING` of the group's tokens. Buckets: each text runs alone
    in the smallest bucket that holds it.

    Args:
        lengths: tokens per text, special tokens included, each at most ``shapes.max_length``.
        shapes: what the artifact takes.
        batch_size: the largest group, at least 1.

    Returns:
        Batches, shortest first, that hold every index exactly once.

    Raises:
        ValueError: a length is above ``shapes.max_length``.
    """
    if lengths and max(lengths) > shapes.max_length:
        raise ValueError(f"a text of {max(lengths)} tokens does not fit {shapes.max_length}")
    order = sorted(range(len(lengths)), key=lengths.__getitem__)
    if shapes.policy == "buckets":
        return [Batch((index,), bucket_for(lengths[index], shapes.buckets)) for index in order]
    batches = []
    group: list[int] = []
    tokens = 0
    for index in order:
        length = lengths[index]
        area = length * (len(group) + 1)
        if group and (len(group) == batch_size or area - (tokens + length) > MAX_PADDING * area):
            batches.append(Batch(tuple(group), lengths[group[-1]]))
            group, tokens = [], 0
        group.append(index)
        tokens += length
    if group:
        batches.append(Batch(tuple(group), lengths[group[-1]]))
    return batches


def bucket_for(length: int, buckets: Sequence[int]) -> int:
    """The smallest of the ascending ``buckets`` that holds ``length`` tokens."""
    return buckets[bisect_left(buckets, length)]
