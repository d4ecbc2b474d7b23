"""The graph that is exported: a task's head on the encoder, checked against ``transformers``."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from edgebert.bundle.schema import TASKS
from edgebert.convert.heads import HEADS
from edgebert.errors import CheckpointError

if TYPE_CHECKING:
    from edgebert.convert.checkpoint import Checkpoint

PARITY_TOLERANCE = 1e-5
"""Largest |difference| from ``transformers``, relative to the largest |output| where that is above 1."""

Inputs = Mapping[str, NDArray[np.int32]]
"""The graph's inputs: ``input_ids`` and ``attention_mask``, int32 [batch, length], and for some tasks ``positions``,
int32 [batch, n]."""


class Graph:
    """The export graph of a checkpoint, sharing the checkpoint's tensors where it can.

    Attributes:
        module: what is exported: takes the inputs in the order of ``inputs``, gives a tuple in that of ``outputs``.
        inputs: names of the inputs, all int32.
        outputs: names of the outputs, all float32.
        per_token: the outputs whose second dimension counts tokens.
    """

    def __init__(self, checkpoint: Checkpoint) -> None:
        task = TASKS[checkpoint.task.name]
        head: Any = HEADS[checkpoint.task.name](checkpoint)
        self.module: torch.nn.Module = head.eval()
        self.inputs = tuple(task.inputs)
        self.outputs = tuple(task.outputs)
        self.per_token = frozenset(name for name, dims in task.outputs.items() if dims[1] == "length")

    def in_float16(self) -> Graph:
        """The same graph with weights and arithmetic of the encoder in float16, but for its normalisations.

        The head stays float32: it costs little and decides the answer. (The projection of fill-mask to the vocabulary
        is float16, as the table it shares with the encoder.)
        """
        other = copy.copy(self)
        other.module = copy.deepcopy(self.module)
        encoder: Any = other.module.encoder
        encoder.to_float16()
        return other

    @torch.inference_mode()
    def run(self, inputs: Inputs) -> dict[str, NDArray[np.float32]]:
        """The outputs in float32, computed by torch."""
        outputs = self.module(*(torch.from_numpy(inputs[name]) for name in self.inputs))
        return {name: output.numpy() for name, output in zip(self.outputs, outputs, strict=True)}


@torch.inference_mode()
def difference_from_transformers(checkpoint: Checkpoint, graph: Graph, inputs: Sequence[Inputs]) -> float:
    """Largest |difference| between the graph's outputs and those of ``transformers`` in float32 over ``inputs``.

    Raises:
        CheckpointError: the difference is above :data:`PARITY_TOLERANCE` or not a number, so that the graph is not the
            same model.
    """
    model = _transformers_model(checkpoint)
    expected = HEADS[checkpoint.task.name].expected
    worst, largest = 0.0, 1.0
    for one in inputs:
        answers = expected(model, checkpoint, {name: torch.from_numpy(array).long() for name, array in one.items()})
        for name, answer in zip(graph.outputs, answers, strict=True):
            right, ours = answer.numpy(), graph.run(one)[name]
            if name in graph.per_token:  # what stands for padding is never read
                tokens = one["attention_mask"] == 1
                right, ours = right[tokens], ours[tokens]
            with np.errstate(invalid="ignore"):  # inf - inf: the NaN is refused below
                worst = float(np.maximum(worst, np.abs(right - ours).max()))  # unlike max(), keeps a NaN
            largest = float(np.maximum(largest, np.abs(right).max()))
    if not (worst <= PARITY_TOLERANCE * largest and math.isfinite(largest)):
        raise CheckpointError(
            f"{checkpoint.source}: the export graph differs from transformers by {worst:.2g} "
            f"(at most {PARITY_TOLERANCE * largest:.2g} is allowed).",
            hint="This checkpoint uses something that EdgeBERT does not reproduce; please report its config.json.",
        )
    return worst


def _transformers_model(checkpoint: Checkpoint) -> torch.nn.Module:
    """The checkpoint in its own class of ``transformers``."""
    import transformers

    config = transformers.DistilBertConfig.from_dict(dict(checkpoint.config), attn_implementation="eager")
    model: torch.nn.Module = getattr(transformers, checkpoint.architecture)(config)
    names = model.state_dict().keys()
    tensors = dict(checkpoint.tensors)
    if "embeddings.word_embeddings.weight" in names:  # the bare encoder, whose tensors have no prefix
        tensors = {name.removeprefix("distilbert."): tensor for name, tensor in tensors.items()}
    if "vocab_projector.weight" in names:  # tied, and so stored once
        tensors["vocab_projector.weight"] = tensors["distilbert.embeddings.word_embeddings.weight"]
    model.load_state_dict(tensors, strict=True, assign=True)
    return model.eval()
