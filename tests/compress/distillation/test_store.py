"""The order of a training: every example once an epoch, and the same order each time."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs the convert extra")

from hypothesis import given, settings
from hypothesis import strategies as st

from edgebert.compress.distillation.examples import Example
from edgebert.compress.distillation.store import TrainingData, read_facts, steps_per_epoch, write_store
from edgebert.errors import DataError


class Given:
    """Examples that a test has made."""

    path = Path("given")
    sha256 = "0" * 64

    def __init__(self, examples: list[Example]) -> None:
        self._examples = examples

    def __iter__(self) -> Any:
        return iter(self._examples)


def store(folder: Path, lengths: list[int], *, label_width: int = 1) -> Path:
    """Example ``i`` is ``i`` repeated, and its label is ``i``."""
    examples = [
        Example(
            np.full(length, index, np.int32),
            np.full(length if label_width < 0 else label_width, index, np.int32),
        )
        for index, length in enumerate(lengths)
    ]
    write_store(folder, [Given(examples)], label_width)  # type: ignore[list-item]
    return folder


@given(
    lengths=st.lists(st.integers(2, 30), min_size=1, max_size=40),
    batch_size=st.integers(1, 12),
    epochs=st.integers(1, 3),
    seed=st.integers(0, 2**32 - 1),
)
@settings(deadline=None, max_examples=40)
def test_every_epoch_has_every_example(lengths: list[int], batch_size: int, epochs: int, seed: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = store(Path(folder), lengths)
        steps = steps_per_epoch(len(lengths), batch_size)
        data, again = (TrainingData(path, batch_size=batch_size, steps=epochs * steps, seed=seed) for _ in range(2))
        seen = [data[position] for position in range(len(data))]
        assert len(data) == epochs * steps * batch_size
        for one in seen:
            index = int(one["labels"][0])
            assert one["ids"].tolist() == [index] * lengths[index]
        for epoch in range(epochs):
            part = seen[epoch * steps * batch_size : (epoch + 1) * steps * batch_size]
            assert {int(one["labels"][0]) for one in part} == set(range(len(lengths)))
        # From the end to the beginning: the order does not depend on what was read before.
        assert [int(again[p]["labels"][0]) for p in reversed(range(len(again)))] == [
            int(one["labels"][0]) for one in reversed(seen)
        ]


def test_epochs_and_seeds_differ(tmp_path: Path) -> None:
    path = store(tmp_path, [5] * 64)
    orders = []
    for seed in (1, 2):
        data = TrainingData(path, batch_size=4, steps=32, seed=seed)
        order = [int(data[p]["labels"][0]) for p in range(128)]
        orders += [order[:64], order[64:]]
    assert len({tuple(order) for order in orders}) == 4


def test_a_batch_has_texts_of_similar_length(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    lengths = random.integers(2, 100, 400).tolist()
    data = TrainingData(store(tmp_path, lengths), batch_size=8, steps=50, seed=0)
    spread = [np.ptp([len(data[step * 8 + place]["ids"]) for place in range(8)]) for step in range(50)]
    assert np.mean(spread) < 10


def test_labels_of_tokens_and_none(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    one = TrainingData(store(tmp_path / "a", [3, 5], label_width=-1), batch_size=1, steps=2, seed=0)
    assert {tuple(one[p]["labels"].tolist()) for p in range(2)} == {(0,) * 3, (1,) * 5}
    none = TrainingData(store(tmp_path / "b", [3, 5], label_width=0), batch_size=1, steps=2, seed=0)
    assert [len(none[p]["labels"]) for p in range(2)] == [0, 0]
    facts = read_facts(tmp_path / "a")
    assert (facts.examples, facts.tokens, facts.longest, facts.labelled) == (2, 8, 5, 2)


def test_no_examples(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="given: no text to train on"):
        write_store(tmp_path, [Given([])], 1)  # type: ignore[list-item]
