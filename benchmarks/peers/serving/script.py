"""What the scripts share: ``tokenizers``, length-sorted batches, labels. A backend gives the logits."""

from __future__ import annotations

import json
import os

import numpy as np
from tokenizers import Tokenizer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

    from numpy.typing import NDArray

    from serving.source import Source

MAX_TOKENS = 512


def copy_texts(source: Source, out: Path) -> None:
    """Put what the script needs beside its model: the tokenizer, and the configuration, which has the labels."""
    for name in ("tokenizer.json", "config.json"):
        (out / name).write_bytes((source.checkpoint / name).read_bytes())


def transformers_model(source: Source) -> Any:  # noqa: ANN401 (only in the environment that exports)
    """The checkpoint in float32, as ``transformers`` loads it, ready to be exported."""
    import torch
    import transformers

    model = transformers.AutoModelForSequenceClassification.from_pretrained(
        source.checkpoint, dtype=torch.float32, use_safetensors=True
    )
    return model.eval()


class Script:
    """Text classification in a few lines. Subclasses say what computes.

    Args:
        files: the folder that ``prepare`` filled.
        max_tokens: longer texts are cut, special tokens included.
    """

    def __init__(self, files: str, max_tokens: int = MAX_TOKENS) -> None:
        with open(os.path.join(files, "config.json"), encoding="utf-8") as file:  # noqa: PTH118, PTH123 (timed)
            labels = json.load(file)["id2label"]
        self.labels: list[str] = [labels[str(index)] for index in range(len(labels))]
        self.tokenizer = Tokenizer.from_file(os.path.join(files, "tokenizer.json"))  # noqa: PTH118 (timed)
        self.tokenizer.no_padding()  # a checkpoint's file may carry both from its training
        self.tokenizer.enable_truncation(max_tokens)

    def logits(self, ids: NDArray[np.int64], mask: NDArray[np.int64]) -> NDArray[np.float32]:
        """``[rows, labels]`` of token ids and mask, both int64 ``[rows, length]``."""
        raise NotImplementedError

    def one(self, text: str) -> str:
        """The label of one text."""
        ids = np.array([self.tokenizer.encode(text).ids], np.int64)
        return self.labels[int(self.logits(ids, np.ones_like(ids))[0].argmax())]

    def many(self, texts: list[str], batch_size: int) -> list[str]:
        """The labels of many texts: batches of texts of similar length, padded to the longest of the batch."""
        rows = [encoding.ids for encoding in self.tokenizer.encode_batch(texts)]
        order = sorted(range(len(rows)), key=lambda place: len(rows[place]))
        labels = [""] * len(rows)
        for start in range(0, len(order), batch_size):
            places = order[start : start + batch_size]
            ids = np.zeros((len(places), len(rows[places[-1]])), np.int64)
            mask = np.zeros_like(ids)
            for row, place in enumerate(places):
                ids[row, : len(rows[place])] = rows[place]
                mask[row, : len(rows[place])] = 1
            for place, best in zip(places, self.logits(ids, mask).argmax(axis=1), strict=True):
                labels[place] = self.labels[int(best)]
        return labels
