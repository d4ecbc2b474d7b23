"""The training data on disk, ready to be read in any order: memory grows by some 30 bytes an example.

A training that is stopped and resumed must see the same examples in the same order. So the texts are tokenized once,
before the first step, and the order is a function of seed and step alone.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Dataset

from edgebert.compress.distillation.examples import ExampleFile
from edgebert.compress.distillation.losses import UNLABELLED
from edgebert.errors import DataError

ANSWERS_NAME = "answers.bin"
"""The teacher's logits, if they were asked for before the first step: float32, a row for each text or each token."""

_POOL_BATCHES = 50


@dataclass(frozen=True, slots=True)
class DataFile:
    """A file of the training data: as given, its SHA-256, and how many examples it gave."""

    path: str
    sha256: str
    examples: int


@dataclass(frozen=True, slots=True)
class StoreFacts:
    """What a store holds.

    Attributes:
        files: where it comes from.
        examples: how many examples there are.
        labelled: how many of them have a right answer.
        tokens: how many tokens they have, special ones included.
        longest: the tokens of the longest.
        label_width: labels of an example; -1 for one per token.
    """

    files: tuple[DataFile, ...]
    examples: int
    labelled: int
    tokens: int
    longest: int
    label_width: int


def write_store(folder: Path, files: Sequence[ExampleFile], label_width: int) -> StoreFacts:
    """Tokenizes the files into a folder.

    Args:
        folder: an empty folder.
        files: the training data.
        label_width: labels of an example; -1 for one per token.

    Raises:
        DataError: a file is not usable, or there is no example.
        OSError: the folder cannot be written.
    """
    sources, examples, labelled, tokens, longest = [], 0, 0, 0, 0
    with (
        (folder / "ids.bin").open("xb") as ids,
        (folder / "ends.bin").open("xb") as ends,
        (folder / "labels.bin").open("xb") as labels,
    ):
        for file in files:
            before = examples
            for example in file:
                examples += 1
                tokens += len(example.ids)
                longest = max(longest, len(example.ids))
                labelled += bool((example.labels != UNLABELLED).any())
                ids.write(example.ids.astype("<i4").tobytes())
                ends.write(np.array([tokens], "<i8").tobytes())
                labels.write(example.labels.astype("<i4").tobytes())
            if examples == before:
                raise DataError(f"{file.path}: no text to train on.", hint="Leave the file out, or give another.")
            sources.append(DataFile(str(file.path), file.sha256, examples - before))
    facts = StoreFacts(tuple(sources), examples, labelled, tokens, longest, label_width)
    (folder / "facts.json").write_text(json.dumps(asdict(facts), indent=1), encoding="utf-8")
    for path in folder.iterdir():
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    return facts


def read_facts(folder: Path) -> StoreFacts:
    """What :func:`write_store` returned for the folder."""
    value: dict[str, Any] = json.loads((folder / "facts.json").read_text(encoding="utf-8"))
    return StoreFacts(**{**value, "files": tuple(DataFile(**file) for file in value["files"])})


class TrainingData(Dataset[Mapping[str, Any]]):
    """Every example of every step, in the order of the training: item ``i`` belongs to step ``i // batch_size``.

    In each epoch the examples are shuffled and cut into pools of 50 batches; only a pool is sorted by length, and its
    batches come in random order with the others: padding is rare, and epochs differ. Where an epoch does not fill its
    last batch, examples from the beginning of its order come a second time.

    Args:
        folder: what :func:`write_store` has filled.
        batch_size: examples of a step, on all devices together.
        steps: how many steps there are.
        seed: of the order.

    Attributes:
        folder: the same.
        facts: what it holds.
    """

    def __init__(self, folder: Path, *, batch_size: int, steps: int, seed: int) -> None:
        self.folder = folder
        self.facts = read_facts(folder)
        self._ids = np.memmap(folder / "ids.bin", "<i4", "r")
        self._ends = np.memmap(folder / "ends.bin", "<i8", "r")
        per_token = self.facts.label_width < 0
        self._labels = None if not self.facts.label_width else np.memmap(folder / "labels.bin", "<i4", "r")
        self._answers: NDArray[np.float32] | None = None
        self._per_token = per_token
        self._batch_size = batch_size
        self._length = steps * batch_size
        self._per_epoch = steps_per_epoch(self.facts.examples, batch_size) * batch_size
        self._seed = seed
        self._order = lru_cache(maxsize=1)(self._epoch_order)

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, position: int) -> Mapping[str, Any]:
        """``position``, and what :meth:`example` gives for the example of this place."""
        epoch, place = divmod(position, self._per_epoch)
        return {"position": position, **self.example(int(self._order(epoch)[place]))}

    def example(self, index: int) -> Mapping[str, Any]:
        """An example in the order of the files.

        Returns:
            ``ids`` int32 [length] and ``labels`` int32, as :class:`Example` has them; after :meth:`open_answers` also
            ``answers``, float32 [1, classes], or [length, classes] where there is one for each token.
        """
        start, end = self._bounds(index)
        ids = np.array(self._ids[start:end])
        if self._labels is None:
            labels = np.empty(0, np.int32)
        elif self._per_token:
            labels = np.array(self._labels[start:end])
        else:
            width = self.facts.label_width
            labels = np.array(self._labels[index * width : (index + 1) * width])
        if self._answers is None:
            return {"ids": ids, "labels": labels}
        rows = slice(index, index + 1) if self.facts.label_width == 1 else slice(start, end)
        return {"ids": ids, "labels": labels, "answers": np.array(self._answers[rows])}

    def open_answers(self) -> None:
        """Gives each example the teacher's logits, which the folder has."""
        rows = self.facts.examples if self.facts.label_width == 1 else self.facts.tokens
        self._answers = np.memmap(self.folder / ANSWERS_NAME, "<f4", "r").reshape(rows, -1)

    def _bounds(self, index: int) -> tuple[int, int]:
        return (int(self._ends[index - 1]) if index else 0), int(self._ends[index])

    def _epoch_order(self, epoch: int) -> NDArray[np.int64]:
        random = np.random.default_rng([self._seed, epoch])
        order = np.resize(random.permutation(self.facts.examples), self._per_epoch)
        size = _POOL_BATCHES * self._batch_size
        for start in range(0, len(order), size):
            pool = order[start : start + size]
            lengths = self._ends[pool] - np.where(pool > 0, self._ends[pool - 1], 0)
            order[start : start + size] = pool[np.argsort(lengths, kind="stable")]
        batches = order.reshape(-1, self._batch_size)
        return batches[random.permutation(len(batches))].reshape(-1)


def steps_per_epoch(examples: int, batch_size: int) -> int:
    """How many steps see every example once."""
    return -(-examples // batch_size)


def file_sha256(paths: Iterable[Path]) -> list[str]:
    """The SHA-256 of each file, lower-case hex. Raises ``DataError`` for one that cannot be read."""
    import hashlib

    found = []
    for path in paths:
        try:
            with path.open("rb") as file:
                digest = hashlib.sha256()
                while block := file.read(1 << 20):
                    digest.update(block)
        except OSError as error:
            raise DataError(
                f"{path}: cannot be read ({error.strerror}).", hint="Check the path and its permissions."
            ) from error
        found.append(digest.hexdigest())
    return found
