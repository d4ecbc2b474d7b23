"""Planning batches."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgebert.bundle import Shapes
from edgebert.runtime.shapes import MAX_PADDING, bucket_for, plan_batches

lengths_up_to_64 = st.lists(st.integers(1, 64), max_size=100)
bucket_lists = st.sets(st.integers(1, 63), max_size=6).map(lambda smaller: (*sorted(smaller), 64))


@given(lengths=lengths_up_to_64, batch_size=st.integers(1, 12))
def test_dynamic_batches_hold_each_text_once_with_little_padding(lengths: list[int], batch_size: int) -> None:
    batches = plan_batches(lengths, Shapes("dynamic", 64), batch_size)
    assert sorted(index for batch in batches for index in batch.indices) == list(range(len(lengths)))
    for batch in batches:
        inside = [lengths[index] for index in batch.indices]
        assert 1 <= len(inside) <= batch_size
        assert batch.length == max(inside)
        assert sum(batch.length - length for length in inside) <= MAX_PADDING * batch.length * len(inside)


@given(length=st.integers(1, 64), count=st.integers(0, 40), batch_size=st.integers(1, 12))
def test_equal_lengths_fill_every_batch_but_the_last(length: int, count: int, batch_size: int) -> None:
    batches = plan_batches([length] * count, Shapes("dynamic", 64), batch_size)
    assert len(batches) == -(-count // batch_size)
    assert all(len(batch.indices) == batch_size for batch in batches[:-1])


@given(lengths=lengths_up_to_64, buckets=bucket_lists, batch_size=st.integers(1, 12))
def test_buckets_take_one_text_each_in_the_smallest_that_fits(
    lengths: list[int], buckets: tuple[int, ...], batch_size: int
) -> None:
    batches = plan_batches(lengths, Shapes("buckets", 64, buckets), batch_size)
    assert sorted(batch.indices for batch in batches) == [(index,) for index in range(len(lengths))]
    for batch in batches:
        length = lengths[batch.indices[0]]
        assert batch.length == min(bucket for bucket in buckets if bucket >= length)


def test_the_edge_of_a_bucket_belongs_to_it() -> None:
    assert [bucket_for(length, (8, 16)) for length in (1, 8, 9, 16)] == [8, 8, 16, 16]


@pytest.mark.parametrize("shapes", [Shapes("dynamic", 64), Shapes("buckets", 64, (8, 64))])
def test_a_text_over_the_limit_is_refused(shapes: Shapes) -> None:
    with pytest.raises(ValueError, match="65"):
        plan_batches([3, 65], shapes, 8)
