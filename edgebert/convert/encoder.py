"""The encoder that is exported: DistilBERT written for export, with the checkpoint's weights.

It computes what ``transformers`` computes (:mod:`edgebert.convert.graph` checks it before anything is exported) and
differs from it in form:

- inputs are int32, the attention mask becomes an additive bias by arithmetic alone, and the bias is finite and
  representable in float16, so that a fully masked row, a float16 backend or a calibrated range never sees an infinity;
- its weights may be float16 (:meth:`Encoder.to_float16`): then normalisations still compute in float32, since their
  sums of squares leave float16's range, the rows that a head gets are float32, and every cast stands in the graph;
- the three projections of self-attention are one product, with the softmax scale folded into the query weights;
- the last layer computes only the rows that the head reads (the first token's, or those of masked tokens): its keys and
  values need every token, its query, feed-forward network and normalisations only these.

Architecture: Sanh et al. 2019, arXiv 1910.01108.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

if TYPE_CHECKING:
    from edgebert.convert.checkpoint import Checkpoint

MASK_BIAS = -1e4
"""Added to the attention scores of padding: float16 holds it, and exp of it is exactly 0."""

LAYER_NORM_EPS = 1e-12


class _LayerNorm(nn.LayerNorm):
    """Layer normalisation in float32; the output has the dtype of the input."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.to(torch.float32)).to(x.dtype)


class _Attention(nn.Module):
    """Multi-head self-attention with one fused projection; with ``some_rows`` only given rows attend."""

    def __init__(self, tensors: dict[str, Tensor], prefix: str, heads: int, *, some_rows: bool) -> None:
        super().__init__()
        self.heads = heads
        self.some_rows = some_rows
        weight = {p: tensors[f"{prefix}.{p}_lin.weight"] for p in ("q", "k", "v")}
        bias = {p: tensors[f"{prefix}.{p}_lin.bias"] for p in ("q", "k", "v")}
        scale = (weight["q"].shape[0] // heads) ** -0.5
        weight["q"], bias["q"] = weight["q"] * scale, bias["q"] * scale
        if some_rows:
            self.q_weight, self.q_bias = parameter(weight["q"]), parameter(bias["q"])
        fused = ("k", "v") if some_rows else ("q", "k", "v")
        self.weight = parameter(torch.cat([weight[p] for p in fused]))
        self.bias = parameter(torch.cat([bias[p] for p in fused]))
        self.out_weight = parameter(tensors[f"{prefix}.out_lin.weight"])
        self.out_bias = parameter(tensors[f"{prefix}.out_lin.bias"])

    def forward(self, x: Tensor, rows: Tensor, mask_bias: Tensor) -> Tensor:
        """What ``rows`` [batch, n, dim] of ``x`` [batch, length, dim] attend to; ``mask_bias`` [batch, 1, 1, length].

        Without ``some_rows``, ``rows`` is ``x``.
        """
        dim = x.shape[2]
        parts = list(torch.split(F.linear(x, self.weight, self.bias), dim, dim=2))
        if self.some_rows:
            parts.insert(0, F.linear(rows, self.q_weight, self.q_bias))
        shape = (self.heads, dim // self.heads)
        query, key, value = (torch.unflatten(part, 2, shape).transpose(1, 2) for part in parts)
        scores = query @ key.transpose(2, 3) + mask_bias
        context = torch.softmax(scores, dim=-1) @ value
        return F.linear(context.transpose(1, 2).flatten(2), self.out_weight, self.out_bias)


class _Layer(nn.Module):
    """One transformer block, post-norm."""

    def __init__(
        self, tensors: dict[str, Tensor], prefix: str, heads: int, activation: str, *, some_rows: bool
    ) -> None:
        super().__init__()
        self.attention = _Attention(tensors, f"{prefix}.attention", heads, some_rows=some_rows)
        self.activation = activation
        self.attention_norm = layer_norm(tensors, f"{prefix}.sa_layer_norm")
        self.lin1 = linear(tensors, f"{prefix}.ffn.lin1")
        self.lin2 = linear(tensors, f"{prefix}.ffn.lin2")
        self.output_norm = layer_norm(tensors, f"{prefix}.output_layer_norm")

    def forward(self, x: Tensor, rows: Tensor, mask_bias: Tensor) -> Tensor:
        x = self.attention_norm(self.attention(x, rows, mask_bias) + rows)
        return self.output_norm(self.lin2(activate(self.lin1(x), self.activation)) + x)  # type: ignore[no-any-return]


class Encoder(nn.Module):
    """Embeddings and layers.

    Args:
        checkpoint: its weights.
        reads: the rows that the head reads: ``"all"``, ``"first"``, or those at ``"positions"``.
    """

    def __init__(self, checkpoint: Checkpoint, *, reads: Literal["all", "first", "positions"]) -> None:
        super().__init__()
        tensors, config = checkpoint.tensors, checkpoint.config
        prefix = "distilbert"
        self.reads = reads
        self.words = parameter(tensors[f"{prefix}.embeddings.word_embeddings.weight"])
        self.positions = parameter(tensors[f"{prefix}.embeddings.position_embeddings.weight"])
        self.norm = layer_norm(tensors, f"{prefix}.embeddings.LayerNorm")
        count = int(config["n_layers"])
        self.layers = nn.ModuleList(
            _Layer(
                tensors,
                f"{prefix}.transformer.layer.{i}",
                int(config["n_heads"]),
                str(config["activation"]),
                some_rows=reads != "all" and i == count - 1,
            )
            for i in range(count)
        )

    def forward(self, input_ids: Tensor, attention_mask: Tensor, positions: Tensor | None = None) -> Tensor:
        """The rows that are read, float32 [batch, n, dim]; ``positions`` int32 [batch, n] where they are given."""
        x: Tensor = self.norm(F.embedding(input_ids, self.words) + self.positions[: input_ids.shape[1]])
        mask_bias = ((1.0 - attention_mask.to(x.dtype)) * MASK_BIAS)[:, None, None, :]
        for layer in self.layers[:-1]:
            x = layer(x, x, mask_bias)
        rows = x
        if self.reads == "first":
            rows = x[:, :1]
        elif positions is not None:
            rows = torch.gather(x, 1, positions.to(torch.int64)[:, :, None].expand(-1, -1, x.shape[2]))
        return self.layers[-1](x, rows, mask_bias).to(torch.float32)  # type: ignore[no-any-return]

    def to_float16(self) -> None:
        """Make the weights float16, but for those of the normalisations. In place."""
        self.half()
        for module in self.modules():
            if isinstance(module, nn.LayerNorm):
                module.float()


def activate(x: Tensor, activation: str) -> Tensor:
    """DistilBERT's activation: ``"gelu"``, by the error function, or ``"relu"``."""
    return F.gelu(x) if activation == "gelu" else F.relu(x)


def parameter(tensor: Tensor) -> nn.Parameter:
    """A weight that is not trained, sharing the tensor's memory."""
    return nn.Parameter(tensor, requires_grad=False)


def linear(tensors: dict[str, Tensor], prefix: str) -> nn.Linear:
    """A dense layer with the tensors ``prefix.weight`` and, where there is one, ``prefix.bias``."""
    weight, bias = tensors[f"{prefix}.weight"], tensors.get(f"{prefix}.bias")
    layer = nn.Linear(weight.shape[1], weight.shape[0], bias=bias is not None, device="meta")
    layer.weight = parameter(weight)
    if bias is not None:
        layer.bias = parameter(bias)
    return layer


def layer_norm(tensors: dict[str, Tensor], prefix: str) -> nn.LayerNorm:
    """A layer normalisation with the tensors ``prefix.weight`` and ``prefix.bias``."""
    weight = tensors[f"{prefix}.weight"]
    layer = _LayerNorm(weight.shape[0], eps=LAYER_NORM_EPS, device="meta")
    layer.weight, layer.bias = parameter(weight), parameter(tensors[f"{prefix}.bias"])
    return layer
