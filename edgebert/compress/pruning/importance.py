"""How much each part of a DistilBERT matters for its answers, measured on examples.

A part (an attention head, a unit of a feed-forward, a channel of the residual stream) is given a mask that multiplies
what it passes on; 0 would remove it. Its importance is the first-order Taylor estimate of what removal does to the
loss: the mean over examples of the absolute derivative of the loss by the mask at 1, that is of |activation x gradient|
(heads: Michel et al. 2019, arXiv 1905.10650; units: Molchanov et al. 2017 and 2019, arXiv 1611.06440 and 1906.10771).
A channel of the residual stream has one mask for all places that write to it, since the width is one size for all
layers (as in Minitron, Muralidharan et al. 2024, arXiv 2407.14679).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from edgebert.compress.distillation.losses import UNLABELLED, decisions
from edgebert.compress.distillation.teacher import logits_of
from edgebert.errors import CheckpointError

Batch = Mapping[str, Tensor]
"""What :class:`edgebert.compress.distillation.batches.Collator` makes."""


@dataclass(frozen=True, slots=True)
class Importance:
    """The importance of each part, of no unit; comparable within a row.

    Attributes:
        heads: float64 [layers, heads].
        units: of the feed-forwards, float64 [layers, hidden_dim].
        channels: of the residual stream, float64 [dim].
        pooled: of the text classifier's own hidden layer, float64 [dim]; ``None`` for a head that has none.
    """

    heads: Tensor
    units: Tensor
    channels: Tensor
    pooled: Tensor | None


def measure_importance(model: nn.Module, task: str, batches: Sequence[Batch]) -> Importance:
    """Measures the importance of all parts at once.

    The loss of an example is the sum of the cross-entropies of its decisions with their labels. Of an example without
    any label the model's own answer is taken for right: of a divergence from that answer the derivative would be 0.

    Args:
        model: a DistilBERT with a head, in evaluation mode; its parameters get no gradients any more.
        task: the task's name.
        batches: the examples.

    Raises:
        CheckpointError: a derivative is not finite.
    """
    model.requires_grad_(False)
    sums: list[Tensor] = []
    examples = 0
    for batch in batches:
        sizes = [derivative.abs().double().sum(dim=0) for derivative in _derivatives(model, task, batch)]
        sums = [old + new for old, new in zip(sums, sizes, strict=True)] if sums else sizes
        examples += len(batch["labels"])
    means = [total / examples for total in sums]
    if not all(bool(torch.isfinite(mean).all()) for mean in means):
        raise CheckpointError(
            "The importance of the checkpoint's parts cannot be measured: a derivative is not a finite number.",
            hint="Look at what the checkpoint answers to these texts.",
        )
    layers = len(_layers(model))
    return Importance(
        heads=torch.stack(means[:layers]),
        units=torch.stack(means[layers : 2 * layers]),
        channels=means[2 * layers],
        pooled=means[2 * layers + 1] if _has_pooled(model) else None,
    )


def residual_norms(model: nn.Module) -> dict[str, nn.Module]:
    """The normalisations that write to the residual stream, by name.

    With them goes that of a masked language model's head: what it writes is multiplied with the word embeddings.
    """
    return {name: module for name, module in model.named_modules() if isinstance(module, nn.LayerNorm)}


def _derivatives(model: nn.Module, task: str, batch: Batch) -> tuple[Tensor, ...]:
    """Of each example's loss by each mask, [batch, parts], in the order of :func:`_masked`."""
    with _masked(model, len(batch["labels"])) as masks:
        output = model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"], return_dict=True)
        rows, answers = _answered(task, logits_of(output), batch)
        # A sum: each example's derivatives stand in its own rows of the masks.
        loss = functional.cross_entropy(rows, answers, ignore_index=UNLABELLED, reduction="sum")
        return torch.autograd.grad(loss, masks)


def _answered(task: str, logits: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
    """Rows of logits and their labels, own answers where an example has no label."""
    labels, mask = batch["labels"], batch["attention_mask"].bool()
    rows, answers = decisions(task, logits, labels, mask)
    if task == "fill-mask":  # a text of which no word was masked says nothing
        return rows, answers
    none = (labels.reshape(len(labels), -1) == UNLABELLED).all(dim=1)
    _, lacking = decisions(task, logits, none.view(-1, *[1] * (labels.ndim - 1)).expand_as(labels), mask)
    return rows, torch.where(lacking, rows.argmax(dim=-1), answers)


@contextmanager
def _masked(model: nn.Module, count: int) -> Iterator[list[Tensor]]:
    """Puts masks of ones into the model, a row for each of ``count`` examples.

    Yields:
        Masks of each layer's heads, of each layer's units, of the channels, and of the pooled units if there are some.
    """
    config: Any = model.config
    layers = _layers(model)
    sizes = [config.n_heads] * len(layers) + [config.hidden_dim] * len(layers) + [config.dim] * (1 + _has_pooled(model))
    masks = [torch.ones(count, size, requires_grad=True) for size in sizes]
    heads, units, channels = masks[: len(layers)], masks[len(layers) : 2 * len(layers)], masks[2 * len(layers)]
    hooks = []
    for layer, head, unit in zip(layers, heads, units, strict=True):
        hooks.append(layer.attention.out_lin.register_forward_pre_hook(_before(head)))
        hooks.append(layer.ffn.lin2.register_forward_pre_hook(_before(unit)))
    for norm in residual_norms(model).values():
        hooks.append(norm.register_forward_hook(_after(channels)))
    if _has_pooled(model):
        hooks.append(model.get_submodule("classifier").register_forward_pre_hook(_before(masks[-1])))
    try:
        yield masks
    finally:
        for hook in hooks:
            hook.remove()


def _times(values: Tensor, mask: Tensor) -> Tensor:
    """``values`` [batch, ..., parts x size] with every part multiplied by its mask [batch, parts]."""
    spread = mask.repeat_interleave(values.shape[-1] // mask.shape[-1], dim=-1)
    return values * (spread[:, None] if values.ndim == 3 else spread)


def _before(mask: Tensor) -> Callable[..., tuple[Tensor]]:
    return lambda module, inputs: (_times(inputs[0], mask),)


def _after(mask: Tensor) -> Callable[..., Tensor]:
    return lambda module, inputs, output: _times(output, mask)


def _layers(model: nn.Module) -> Sequence[Any]:
    model_with_encoder: Any = model
    layers: Sequence[Any] = model_with_encoder.distilbert.transformer.layer
    return layers


def _has_pooled(model: nn.Module) -> bool:
    """Whether the head has a hidden layer of its own, as that of a text classifier has."""
    return hasattr(model, "pre_classifier")
