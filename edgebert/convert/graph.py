"""The graph that is exported: DistilBERT written for export, with the checkpoint's weights.

It computes what ``transformers`` computes (:func:`difference_from_transformers` checks it before anything is exported)
and differs from it in form:

- inputs are int32, the attention mask becomes an additive bias by arithmetic alone, and the bias is finite and
  representable in float16, so that a fully masked row, a float16 backend or a calibrated range never sees an infinity;
- the three projections of self-attention are one product, with the softmax scale folded into the query weights;
- the last layer computes only the row that a single-vector head reads: its keys and values need every token, its query,
  feed-forward network and normalisations only the first.

Architecture: Sanh et al. 2019, arXiv 1910.01108.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edgebert.errors import CheckpointError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from edgebert.convert.checkpoint import Checkpoint

MASK_BIAS = -1e4
"""Added to the attention scores of padding: float16 holds it, and exp of it is exactly 0."""

LAYER_NORM_EPS = 1e-12
PARITY_TOLERANCE = 1e-5
"""Largest |logit difference| from ``transformers``, relative to the largest |logit| where that is above 1."""


class _Attention(nn.Module):
    """Multi-head self-attention with one fused projection; ``first_row_only`` attends from the first token alone."""

    def __init__(self, tensors: dict[str, Tensor], prefix: str, heads: int, *, first_row_only: bool) -> None:
        super().__init__()
        self.heads = heads
        self.first_row_only = first_row_only
        weight = {p: tensors[f"{prefix}.{p}_lin.weight"] for p in ("q", "k", "v")}
        bias = {p: tensors[f"{prefix}.{p}_lin.bias"] for p in ("q", "k", "v")}
        scale = (weight["q"].shape[0] // heads) ** -0.5
        weight["q"], bias["q"] = weight["q"] * scale, bias["q"] * scale
        if first_row_only:
            self.q_weight, self.q_bias = _parameter(weight["q"]), _parameter(bias["q"])
        fused = ("k", "v") if first_row_only else ("q", "k", "v")
        self.weight = _parameter(torch.cat([weight[p] for p in fused]))
        self.bias = _parameter(torch.cat([bias[p] for p in fused]))
        self.out_weight = _parameter(tensors[f"{prefix}.out_lin.weight"])
        self.out_bias = _parameter(tensors[f"{prefix}.out_lin.bias"])

    def forward(self, x: Tensor, mask_bias: Tensor) -> Tensor:
        """From ``x`` [batch, length, dim] and ``mask_bias`` [batch, 1, 1, length] to [batch, 1 or length, dim]."""
        dim = x.shape[2]
        parts = list(torch.split(F.linear(x, self.weight, self.bias), dim, dim=2))
        if self.first_row_only:
            parts.insert(0, F.linear(x[:, :1], self.q_weight, self.q_bias))
        shape = (self.heads, dim // self.heads)
        query, key, value = (torch.unflatten(part, 2, shape).transpose(1, 2) for part in parts)
        scores = query @ key.transpose(2, 3) + mask_bias
        context = torch.softmax(scores, dim=-1) @ value
        return F.linear(context.transpose(1, 2).flatten(2), self.out_weight, self.out_bias)


class _Layer(nn.Module):
    """One transformer block, post-norm."""

    def __init__(
        self, tensors: dict[str, Tensor], prefix: str, heads: int, activation: str, *, first_row_only: bool
    ) -> None:
        super().__init__()
        self.attention = _Attention(tensors, f"{prefix}.attention", heads, first_row_only=first_row_only)
        self.activation = activation
        self.attention_norm = _layer_norm(tensors, f"{prefix}.sa_layer_norm")
        self.lin1 = _linear(tensors, f"{prefix}.ffn.lin1")
        self.lin2 = _linear(tensors, f"{prefix}.ffn.lin2")
        self.output_norm = _layer_norm(tensors, f"{prefix}.output_layer_norm")

    def forward(self, x: Tensor, mask_bias: Tensor) -> Tensor:
        residual = x[:, :1] if self.attention.first_row_only else x
        x = self.attention_norm(self.attention(x, mask_bias) + residual)
        hidden = self.lin1(x)
        hidden = F.gelu(hidden) if self.activation == "gelu" else F.relu(hidden)
        return self.output_norm(self.lin2(hidden) + x)  # type: ignore[no-any-return]


class _Encoder(nn.Module):
    """Embeddings and layers. ``first_row_only`` returns the first token's vector alone."""

    def __init__(self, checkpoint: Checkpoint, *, first_row_only: bool) -> None:
        super().__init__()
        tensors, config = checkpoint.tensors, checkpoint.config
        prefix = "distilbert"
        self.words = _parameter(tensors[f"{prefix}.embeddings.word_embeddings.weight"])
        self.positions = _parameter(tensors[f"{prefix}.embeddings.position_embeddings.weight"])
        self.norm = _layer_norm(tensors, f"{prefix}.embeddings.LayerNorm")
        count = int(config["n_layers"])
        self.layers = nn.ModuleList(
            _Layer(
                tensors,
                f"{prefix}.transformer.layer.{i}",
                int(config["n_heads"]),
                str(config["activation"]),
                first_row_only=first_row_only and i == count - 1,
            )
            for i in range(count)
        )

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        x: Tensor = self.norm(F.embedding(input_ids, self.words) + self.positions[: input_ids.shape[1]])
        mask_bias = ((1.0 - attention_mask.to(torch.float32)) * MASK_BIAS)[:, None, None, :]
        for layer in self.layers:
            x = layer(x, mask_bias)
        return x


class SequenceClassifier(nn.Module):
    """DistilBERT with the classification head: first token, dense, ReLU, dense."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        super().__init__()
        self.encoder = _Encoder(checkpoint, first_row_only=True)
        self.pre_classifier = _linear(checkpoint.tensors, "pre_classifier")
        self.classifier = _linear(checkpoint.tensors, "classifier")

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Logits, float32 [batch, labels], of int32 ``input_ids`` and ``attention_mask`` [batch, length]."""
        first = self.encoder(input_ids, attention_mask).squeeze(1)
        return self.classifier(F.relu(self.pre_classifier(first)))  # type: ignore[no-any-return]


class TokenClassifier(nn.Module):
    """DistilBERT with the token classification head: dense, on every token."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        super().__init__()
        self.encoder = _Encoder(checkpoint, first_row_only=False)
        self.classifier = _linear(checkpoint.tensors, "classifier")

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Logits, float32 [batch, length, labels], of int32 ``input_ids`` and ``attention_mask`` [batch, length]."""
        return self.classifier(self.encoder(input_ids, attention_mask))  # type: ignore[no-any-return]


HEADS = {"text-classification": SequenceClassifier, "token-classification": TokenClassifier}
"""The export graph of each task."""


def build_graph(checkpoint: Checkpoint) -> nn.Module:
    """The export graph of a checkpoint, in evaluation mode, sharing the checkpoint's tensors where it can."""
    return HEADS[checkpoint.task.name](checkpoint).eval()


@torch.inference_mode()
def run_graph(graph: nn.Module, input_ids: NDArray[np.int32], attention_mask: NDArray[np.int32]) -> NDArray[np.float32]:
    """Run the graph in torch: int32 [batch, length] in, float32 logits [batch, ..., labels] out."""
    logits = graph(torch.from_numpy(input_ids), torch.from_numpy(attention_mask))
    return np.asarray(logits.numpy(), dtype=np.float32)


@torch.inference_mode()
def difference_from_transformers(
    checkpoint: Checkpoint, graph: nn.Module, inputs: Sequence[tuple[NDArray[np.int32], NDArray[np.int32]]]
) -> float:
    """Largest |logit difference| between the graph and ``transformers`` in float32 over ``inputs``.

    Raises:
        CheckpointError: the difference is above :data:`PARITY_TOLERANCE` or not a number, so that the graph is not the
            same model.
    """
    import transformers

    config = transformers.DistilBertConfig.from_dict(dict(checkpoint.config), attn_implementation="eager")
    model = getattr(transformers, checkpoint.architecture)(config)
    model.load_state_dict(checkpoint.tensors, strict=True, assign=True)
    model.eval()
    worst, largest = 0.0, 1.0
    for input_ids, attention_mask in inputs:
        expected = model(
            input_ids=torch.from_numpy(input_ids).long(), attention_mask=torch.from_numpy(attention_mask).long()
        ).logits.numpy()
        with np.errstate(invalid="ignore"):  # inf - inf: the NaN is refused below
            difference = np.abs(expected - run_graph(graph, input_ids, attention_mask)).max()
        worst = float(np.maximum(worst, difference))  # unlike max(), keeps a NaN
        largest = float(np.maximum(largest, np.abs(expected).max()))
    if not (worst <= PARITY_TOLERANCE * largest and math.isfinite(largest)):
        raise CheckpointError(
            f"{checkpoint.source}: the export graph differs from transformers by {worst:.2g} logits "
            f"(at most {PARITY_TOLERANCE * largest:.2g} is allowed).",
            hint="This checkpoint uses something that EdgeBERT does not reproduce; please report its config.json.",
        )
    return worst


def _parameter(tensor: Tensor) -> nn.Parameter:
    return nn.Parameter(tensor, requires_grad=False)


def _linear(tensors: dict[str, Tensor], prefix: str) -> nn.Linear:
    weight, bias = tensors[f"{prefix}.weight"], tensors[f"{prefix}.bias"]
    layer = nn.Linear(weight.shape[1], weight.shape[0], device="meta")
    layer.weight, layer.bias = _parameter(weight), _parameter(bias)
    return layer


def _layer_norm(tensors: dict[str, Tensor], prefix: str) -> nn.LayerNorm:
    weight = tensors[f"{prefix}.weight"]
    layer = nn.LayerNorm(weight.shape[0], eps=LAYER_NORM_EPS, device="meta")
    layer.weight, layer.bias = _parameter(weight), _parameter(tensors[f"{prefix}.bias"])
    return layer
