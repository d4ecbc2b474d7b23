"""Making up for what was cut, in closed form, without training.

- What a removed head, or unit of a feed-forward, wrote on the mean goes into the bias of the product that read it (as
  in FLAP, An et al. 2023, arXiv 2312.11983).
- A normalisation over fewer channels divides by another standard deviation and subtracts another mean. How they compare
  on the mean goes into its weight and bias.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from edgebert.compress.pruning.cut import Kept, kept_inputs
from edgebert.compress.pruning.importance import Batch, residual_norms
from edgebert.convert.checkpoint import Checkpoint

_EPSILON = 1e-12


@dataclass(frozen=True, slots=True)
class Means:
    """What was measured on the whole model.

    Attributes:
        inputs: the mean input of each product that reads heads or units, by name, float32 [in_features].
        norms: of each normalisation, by name: the mean ratio of the standard deviation of the kept channels to that of
            all; and how far the kept channels' mean is above that of all, in standard deviations of all.
    """

    inputs: dict[str, Tensor]
    norms: dict[str, tuple[float, float]]


class _Mean:
    """The mean of rows, over several calls."""

    def __init__(self) -> None:
        self._sum: Tensor | float = 0.0
        self._count = 0

    def add(self, rows: Tensor) -> None:
        """Adds rows [n, columns]."""
        self._sum = self._sum + rows.double().sum(dim=0)
        self._count += len(rows)

    def value(self) -> Tensor:
        """Float32 [columns]."""
        return torch.as_tensor(self._sum / self._count).float()


@torch.inference_mode()
def measure_means(model: nn.Module, batches: Sequence[Batch], kept: Kept, head_size: int) -> Means:
    """Measures, on examples, what :func:`compensated` needs; padding does not count.

    Args:
        model: the whole DistilBERT, in evaluation mode.
        batches: the examples.
        kept: what will be kept.
        head_size: channels of a head.
    """
    inputs = {name: _Mean() for name in kept_inputs(kept, head_size)}
    norms = {name: _Mean() for name in residual_norms(model)}
    mask = torch.empty(0, dtype=torch.bool)

    def real(values: Tensor) -> Tensor:
        return values[mask] if values.ndim == 3 else values

    def note_input(name: str) -> Any:  # noqa: ANN401 (a hook)
        return lambda module, given: inputs[name].add(real(given[0]))

    def note_norm(name: str) -> Any:  # noqa: ANN401 (a hook)
        return lambda module, given: norms[name].add(_compared(real(given[0]), kept.channels))

    with ExitStack() as stack:
        for name in inputs:
            stack.callback(model.get_submodule(name).register_forward_pre_hook(note_input(name)).remove)
        for name in norms:
            stack.callback(model.get_submodule(name).register_forward_pre_hook(note_norm(name)).remove)
        for batch in batches:
            mask = batch["attention_mask"].bool()
            model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"])
    found = {name: mean.value() for name, mean in norms.items()}
    return Means(
        {name: mean.value() for name, mean in inputs.items()},
        {name: (float(value[0]), float(value[1])) for name, value in found.items()},
    )


def _compared(values: Tensor, channels: Tensor) -> Tensor:
    """Of each row its two numbers of :class:`Means`, [n, 2]."""
    some = values[:, channels]
    deviation = (values.var(dim=1, correction=0) + _EPSILON).sqrt()
    ratio = (some.var(dim=1, correction=0) + _EPSILON).sqrt() / deviation
    return torch.stack([ratio, (some.mean(dim=1) - values.mean(dim=1)) / deviation], dim=1)


def compensated(whole: Checkpoint, pruned: Checkpoint, kept: Kept, means: Means) -> Checkpoint:
    """The pruned checkpoint with other biases, and where channels went, other normalisations.

    Args:
        whole: the checkpoint before.
        pruned: what :func:`edgebert.compress.pruning.cut.cut` made of it.
        kept: what was kept.
        means: of the whole one.
    """
    tensors = dict(pruned.tensors)
    head_size = whole.config["dim"] // whole.config["n_heads"]
    for name, stayed in kept_inputs(kept, head_size).items():
        weight = whole.tensors[f"{name}.weight"]
        gone = torch.ones(weight.shape[1], dtype=torch.bool)
        gone[stayed] = False
        lost = weight[:, gone] @ means.inputs[name][gone]
        # The products of the layers write to the residual stream, a classifier's logits are all kept.
        own = lost if name == "classifier" else lost[kept.channels]
        tensors[f"{name}.bias"] = tensors[f"{name}.bias"] + own
    if len(kept.channels) < whole.config["dim"]:
        for name, (ratio, shift) in means.norms.items():
            weight = tensors[f"{name}.weight"]
            tensors[f"{name}.bias"] = tensors[f"{name}.bias"] + weight * shift
            tensors[f"{name}.weight"] = weight * ratio
    return replace(pruned, tensors=tensors)
