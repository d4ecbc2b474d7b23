"""The texts: SST-2's dev set, with right answers and lengths."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edgebert.convert.evaluation.texts import load_eval
from edgebert.errors import CheckpointError, DataError
from edgebert.runtime.tokenization import TextTokenizer

LENGTH_CLASSES = ((1, 16), (17, 32), (33, 64), (65, 512))
"""Tokens, special ones included; both ends belong to the class."""

_CHECKPOINT_FILES = ("config.json", "model.safetensors", "tokenizer.json")


@dataclass(frozen=True, slots=True)
class Texts:
    """What every peer answers.

    Attributes:
        texts: in the order of the file.
        labels: the right answer to each, as a name of the checkpoint.
        tokens: the length of each in tokens of the checkpoint, special ones included.
        sha256: of the file.
    """

    texts: list[str]
    labels: list[str]
    tokens: list[int]
    sha256: str

    def places(self) -> dict[str, list[int]]:
        """Of each length class that has texts, under the name ``17-32``, where they are."""
        classes = {}
        for low, high in LENGTH_CLASSES:
            if found := [place for place, count in enumerate(self.tokens) if low <= count <= high]:
                classes[f"{low}-{high}"] = found
        return classes

    def spread(self, count: int) -> list[str]:
        """About ``count`` texts spread evenly over the lengths, the longest among them: enough to warm up with."""
        order = sorted(range(len(self.texts)), key=lambda place: -self.tokens[place])
        return [self.texts[place] for place in order[:: max(len(order) // count, 1)]]


def check_checkpoint(folder: Path) -> None:
    """Whether the files that the peers need are there.

    Raises:
        CheckpointError: one is missing.
    """
    missing = [name for name in _CHECKPOINT_FILES if not (folder / name).is_file()]
    if missing:
        raise CheckpointError(
            f"{folder} has no {' and no '.join(missing)}.", hint="Give a Hugging Face folder with safetensors weights."
        )


def read_texts(data: Path, tokenizer_json: bytes, names: tuple[str, ...], limit: int | None) -> Texts:
    """The dev set, or the first ``limit`` texts of it.

    Args:
        data: the folder of ``train.tsv`` and ``dev.tsv``.
        tokenizer_json: the checkpoint's.
        names: the checkpoint's labels, by class index.
        limit: how many; ``None`` for all.

    Raises:
        DataError: a file is missing or not usable.
    """
    if not (data / "train.tsv").is_file():
        raise DataError(f"{data} has no train.tsv.", hint="Give the folder of SST-2: calibration texts are from it.")
    loaded = load_eval(data / "dev.tsv", names, problem_type="single_label_classification", limit=limit)
    tokenizer = TextTokenizer(tokenizer_json, max_length=LENGTH_CLASSES[-1][1])
    tokens = [len(tokenizer.encode(text)[0].input_ids) for text in loaded.inputs]
    return Texts(loaded.inputs, [names[label] for label in loaded.labels], tokens, loaded.sha256)
