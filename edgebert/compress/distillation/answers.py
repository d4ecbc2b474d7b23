"""The teacher's logits of all examples, asked once.

Where neither words are masked nor hidden states compared, the teacher gives an example the same answer in every epoch.
So each process asks for its share of the examples before the first step, and the shares become one file beside the
tokenized texts. It is there whole or not at all: a training that was stopped goes on with the answers it began with.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from edgebert.compress.distillation.batches import Collator
from edgebert.compress.distillation.progress import Progress
from edgebert.compress.distillation.store import ANSWERS_NAME, TrainingData
from edgebert.compress.distillation.teacher import Teacher

_BATCH_SIZE = 64
_POOL = 50 * _BATCH_SIZE
_TYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


def ask_teacher(
    teacher: Teacher,
    data: TrainingData,
    *,
    separator: int,
    precision: str,
    arguments: Any,  # noqa: ANN401 (transformers' own class)
    progress: Progress,
) -> None:
    """Writes the teacher's logits into the data's folder, on all processes together, if they are not there.

    Args:
        teacher: the teacher; its model is moved to the training's device.
        data: the training data.
        separator: the id of ``[SEP]``.
        precision: of the arithmetic, one of ``recipe.PRECISIONS``.
        arguments: the ``transformers.TrainingArguments`` of the training.
        progress: is told the batches of the first process.

    Raises:
        OSError: the folder cannot be written.
    """
    whole = data.folder / ANSWERS_NAME
    if whole.is_file():
        return
    progress.stage("asking the teacher")
    rank, count, device = arguments.process_index, arguments.world_size, arguments.device
    share = range(rank * data.facts.examples // count, (rank + 1) * data.facts.examples // count)
    teacher.model.to(device)
    collate = Collator(pad_id=teacher.checkpoint.pad_id, per_token=True, masking=None, seed=0)
    low = _TYPES.get(precision)
    done, total = 0, sum(-(-len(pool) // _BATCH_SIZE) for pool in _pools(share))
    with (
        _share(whole, rank).open("wb") as file,
        torch.inference_mode(),
        torch.autocast(device.type, low, enabled=low is not None),
    ):
        for pool in _pools(share):
            examples = [data.example(index) for index in pool]
            rows: dict[int, NDArray[np.float32]] = {}
            for places in _batches([len(example["ids"]) for example in examples]):
                batch = [examples[place] for place in places]
                inputs = {name: value.to(device) for name, value in collate(batch).items() if name != "labels"}
                logits = teacher.ask(inputs, separator=separator)[0].float().cpu().numpy()
                rows.update(zip(places, _rows(logits, batch, data.facts.label_width), strict=True))
                done += 1
                progress.step(done, total, {})
            for place in range(len(examples)):
                file.write(rows[place].astype("<f4").tobytes())
    arguments.distributed_state.wait_for_everyone()
    if rank == 0:
        _join(whole, count)
    arguments.distributed_state.wait_for_everyone()


def _pools(share: range) -> Iterator[range]:
    return (share[start : start + _POOL] for start in range(0, len(share), _POOL))


def _batches(lengths: Sequence[int]) -> Iterator[list[int]]:
    """Places of examples of similar length."""
    order = np.argsort(lengths, kind="stable").tolist()
    return (order[start : start + _BATCH_SIZE] for start in range(0, len(order), _BATCH_SIZE))


def _rows(
    logits: NDArray[np.float32], batch: Sequence[Mapping[str, Any]], label_width: int
) -> Iterator[NDArray[np.float32]]:
    """Of each example its logits, without padding, a row for the text or for each token."""
    for own, example in zip(logits, batch, strict=True):
        length = len(example["ids"])
        yield own[None] if label_width == 1 else own[:, :length].T if label_width == 2 else own[:length]


def _share(whole: Path, rank: int) -> Path:
    return whole.with_name(f"{whole.name}.{rank}")


def _join(whole: Path, count: int) -> None:
    """Makes one file of the shares, which is on the disk before it has its name."""
    first = _share(whole, 0)
    with first.open("ab") as file:
        for rank in range(1, count):
            with _share(whole, rank).open("rb") as other:
                shutil.copyfileobj(other, file)
        file.flush()
        os.fsync(file.fileno())
    first.rename(whole)
    for rank in range(1, count):
        _share(whole, rank).unlink()
