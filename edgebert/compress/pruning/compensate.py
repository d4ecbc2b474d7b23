"""Making up for feed-forward units that were cut, in closed form, without training.

What a removed unit wrote on the mean goes into the bias of the product that read it (as in FLAP, An et al. 2023,
arXiv 2312.11983). Heads and channels are not made up for: of a model whose width is cut, the means of the whole one say
too little, and on SST-2 the answers became worse (docs/how-to/prune.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from edgebert.compress.pruning.cut import Kept
from edgebert.compress.pruning.importance import Batch
from edgebert.convert.checkpoint import Checkpoint

_READER = "distilbert.transformer.layer.{}.ffn.lin2"


@torch.inference_mode()
def mean_units(model: nn.Module, batches: Sequence[Batch]) -> Tensor:
    """What each feed-forward unit passes on, the mean over tokens without padding.

    Args:
        model: a DistilBERT, in evaluation mode.
        batches: the examples.

    Returns:
        Float32 [layers, hidden_dim].
    """
    config: Any = model.config
    sums = torch.zeros(config.n_layers, config.hidden_dim, dtype=torch.float64)
    mask, tokens = torch.empty(0, dtype=torch.bool), 0

    def noting(layer: int) -> Any:  # noqa: ANN401 (a hook)
        def note(module: nn.Module, given: tuple[Tensor]) -> None:
            sums[layer] += given[0][mask].double().sum(dim=0)

        return note

    with ExitStack() as stack:
        for layer in range(config.n_layers):
            reader = model.get_submodule(_READER.format(layer))
            stack.callback(reader.register_forward_pre_hook(noting(layer)).remove)
        for batch in batches:
            mask = batch["attention_mask"].bool()
            tokens += int(mask.sum())
            model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"])
    return (sums / tokens).float()


def compensated(whole: Checkpoint, pruned: Checkpoint, kept: Kept, means: Tensor) -> Checkpoint:
    """The pruned checkpoint with other biases behind its feed-forwards.

    Args:
        whole: the checkpoint before.
        pruned: what :func:`edgebert.compress.pruning.cut.cut` made of it.
        kept: what was kept.
        means: what :func:`mean_units` gives for the whole one.
    """
    tensors = dict(pruned.tensors)
    for layer, (units, mean) in enumerate(zip(kept.units, means, strict=True)):
        name = _READER.format(layer)
        gone = torch.ones(len(mean), dtype=torch.bool)
        gone[units] = False
        lost = whole.tensors[f"{name}.weight"][:, gone] @ mean[gone]
        tensors[f"{name}.bias"] = tensors[f"{name}.bias"] + lost[kept.channels]
    return replace(pruned, tensors=tensors)
