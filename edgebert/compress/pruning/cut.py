"""Cutting parts out of a DistilBERT: the tensors of a smaller one of the same form.

DistilBERT has one size (``dim``) for its width, its attention and its classifier's hidden layer, so that heads cannot
go alone: with them go as many channels of the residual stream, and of the classifier's hidden layer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from edgebert.compress.pruning.importance import Importance
from edgebert.convert.checkpoint import Checkpoint

_LAYERS = "distilbert.transformer.layer"


@dataclass(frozen=True, slots=True)
class Kept:
    """What stays, by its old number, ascending.

    Attributes:
        heads: int64 [layers, heads].
        units: of the feed-forwards, int64 [layers, hidden_dim].
        channels: of the residual stream, int64 [dim].
        pooled: of the classifier's hidden layer, int64 [dim]; ``None`` for a head that has none.
    """

    heads: Tensor
    units: Tensor
    channels: Tensor
    pooled: Tensor | None


def most_important(importance: Importance, *, heads: int, head_size: int, hidden_dim: int) -> Kept:
    """Chooses the most important parts; of equal ones the first.

    Args:
        importance: of all parts.
        heads: how many heads each layer keeps.
        head_size: channels of a head; ``heads`` times that is the width.
        hidden_dim: how many units each feed-forward keeps.
    """
    dim = heads * head_size
    pooled = importance.pooled
    return Kept(
        _largest(importance.heads, heads),
        _largest(importance.units, hidden_dim),
        _largest(importance.channels, dim),
        None if pooled is None else _largest(pooled, dim),
    )


def _largest(values: Tensor, count: int) -> Tensor:
    order = values.argsort(dim=-1, descending=True, stable=True)
    return order[..., :count].sort(dim=-1).values


def cut(checkpoint: Checkpoint, kept: Kept) -> Checkpoint:
    """The checkpoint with what is kept, in its order; nothing else is changed.

    Args:
        checkpoint: a DistilBERT.
        kept: parts that it has.
    """
    layers, heads = kept.heads.shape
    head_size = checkpoint.config["dim"] // checkpoint.config["n_heads"]
    tensors = {}
    for name, tensor in checkpoint.tensors.items():
        if not name.startswith(_LAYERS):
            tensors[name] = _outside_layers(name, tensor, kept)
    for layer in range(layers):
        prefix = f"{_LAYERS}.{layer}."
        own = {
            name.removeprefix(prefix): value for name, value in checkpoint.tensors.items() if name.startswith(prefix)
        }
        inside = (kept.heads[layer][:, None] * head_size + torch.arange(head_size)).flatten()
        smaller = _inside_layer(own, kept.channels, inside, kept.units[layer])
        tensors.update({prefix + name: tensor for name, tensor in smaller.items()})
    config = {**checkpoint.config, "dim": len(kept.channels), "n_heads": heads, "hidden_dim": kept.units.shape[1]}
    ordered = {name: tensors[name].contiguous() for name in checkpoint.tensors}
    return replace(checkpoint, config=config, tensors=ordered)


def _inside_layer(own: Mapping[str, Tensor], stays: Tensor, inside: Tensor, units: Tensor) -> dict[str, Tensor]:
    """The tensors of a layer: rows are what a product writes, columns what it reads."""
    rows = {"attention.out_lin": stays, "ffn.lin1": units, "ffn.lin2": stays}
    columns = {"attention.out_lin": inside, "ffn.lin1": stays, "ffn.lin2": units}
    for part in ("q", "k", "v"):
        rows[f"attention.{part}_lin"], columns[f"attention.{part}_lin"] = inside, stays
    cut_out = {}
    for name, tensor in own.items():
        module, _, kind = name.rpartition(".")
        tensor = tensor[rows.get(module, stays)]
        cut_out[name] = tensor[:, columns[module]] if kind == "weight" and module in columns else tensor
    return cut_out


def _outside_layers(name: str, tensor: Tensor, kept: Kept) -> Tensor:
    """Of embeddings and head."""
    stays, pooled = kept.channels, kept.pooled
    module, _, kind = name.rpartition(".")
    if module.endswith("_embeddings"):
        return tensor[:, stays]
    if module in ("distilbert.embeddings.LayerNorm", "vocab_layer_norm"):
        return tensor[stays]
    if module == "vocab_transform":
        return tensor[stays][:, stays] if kind == "weight" else tensor[stays]
    if module == "pre_classifier":
        assert pooled is not None
        return tensor[pooled][:, stays] if kind == "weight" else tensor[pooled]
    if kind == "weight":  # of the answers
        return tensor[:, stays if pooled is None else pooled]
    return tensor
