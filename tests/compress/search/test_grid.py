"""Which points there are for which checkpoint."""

from __future__ import annotations

import pytest

pytest.importorskip("torch", reason="`edgebert compress` needs it")

from edgebert.compress.distillation.student import Sizes
from edgebert.compress.search.grid import CHECKPOINT, TRIM, check_sizes, step_cost, trained, trimmed, untrained
from edgebert.errors import CheckpointError

BASE = Sizes(6, 768, 12, 3072, None)


def names(sizes: Sizes, base: str = TRIM) -> list[str]:
    return [point.name for point in [*untrained(sizes, base), *trained(sizes, base)]]


def test_of_distilbert() -> None:
    assert names(BASE) == [
        "trim-drop-1",
        "trim-ffn-2304",
        "trim-layers-3",
        "trim-layers-3-ffn-1536",
        "trim-layers-2",
        "trim-heads-8",
        "trim-layers-4",
    ]
    assert names(BASE, CHECKPOINT)[2] == "layers-3"
    assert untrained(BASE, TRIM)[0].options == ("--keep", "0,1,3,4,5")


@pytest.mark.parametrize("layers", [1, 2, 3, 4, 5, 12])
def test_every_point_is_smaller_and_none_is_there_twice(layers: int) -> None:
    sizes = Sizes(layers, 32, 4, 64, None)
    points = [*untrained(sizes, TRIM), *trained(sizes, TRIM)]
    assert len({point.name for point in points}) == len(points)
    students = [point.sizes for point in points if point.trains]
    assert len(set(students)) == len(students) > 0
    for point in points:
        assert point.sizes != sizes and point.sizes.layers >= 1 and point.sizes.dim % point.sizes.heads == 0
        assert step_cost(sizes, point.sizes) < step_cost(sizes, sizes)


def test_only_texts_are_trimmed() -> None:
    assert [point.name for point in trimmed(BASE, "fill-mask")] == ["trim", "trim-4"]
    assert trimmed(BASE, "token-classification") == []


def test_nothing_smaller() -> None:
    with pytest.raises(CheckpointError, match="leave nothing to try"):
        check_sizes(Sizes(1, 32, 1, 1, None), "tiny")
