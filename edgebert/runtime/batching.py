"""Runs the windows of many inputs in as few, and as little padded, batches as an artifact takes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from edgebert.bundle.schema import Shapes
from edgebert.runtime.engines.base import Tensors
from edgebert.runtime.shapes import Batch, plan_batches
from edgebert.runtime.tasks.base import Outputs
from edgebert.runtime.tokenization import Window


class BatchRunner(Protocol):
    """What runs batches: an engine, guarded or not."""

    @property
    def shapes(self) -> Shapes:
        """The input shapes that :meth:`run` takes."""
        ...

    def run(self, inputs: Tensors) -> dict[str, NDArray[Any]]:
        """See :meth:`edgebert.runtime.engines.base.Engine.run`."""
        ...


def run_windows(runner: BatchRunner, windows: Sequence[Window], pad_id: int, batch_size: int) -> list[Outputs]:
    """The outputs of each window, in order.

    Args:
        runner: what runs them.
        windows: model inputs of any length that fits the runner.
        pad_id: the padding token's id.
        batch_size: how many windows run together at most.
    """
    outputs: list[Outputs] = [{}] * len(windows)
    for batch in plan_batches([len(window.input_ids) for window in windows], runner.shapes, batch_size):
        answers = runner.run(_assemble(windows, batch, pad_id))
        for row, index in enumerate(batch.indices):
            outputs[index] = {name: values[row] for name, values in answers.items()}
    return outputs


def _assemble(windows: Sequence[Window], batch: Batch, pad_id: int) -> dict[str, NDArray[np.int32]]:
    shape = (len(batch.indices), batch.length)
    input_ids = np.full(shape, pad_id, dtype=np.int32)
    attention_mask = np.zeros(shape, dtype=np.int32)
    for row, index in enumerate(batch.indices):
        ids = windows[index].input_ids
        input_ids[row, : len(ids)] = ids
        attention_mask[row, : len(ids)] = 1
    return {"input_ids": input_ids, "attention_mask": attention_mask}
