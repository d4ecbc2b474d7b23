"""The heads that are exported: one class for each task, and how ``transformers`` computes the same.

A head is a module whose ``forward`` takes the graph's inputs and gives the outputs that
:data:`edgebert.bundle.schema.TASKS` names, in that order. ``expected`` gives them from the checkpoint's own model.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edgebert.convert.encoder import Encoder, activate, layer_norm, linear, parameter
from edgebert.convert.sentence import pooled

if TYPE_CHECKING:
    from edgebert.convert.checkpoint import Checkpoint

Tensors = Mapping[str, Tensor]


class Head(Protocol):
    """What every head class implements, beside ``forward``."""

    def __init__(self, checkpoint: Checkpoint) -> None: ...

    @staticmethod
    def expected(model: Any, checkpoint: Checkpoint, inputs: Tensors) -> tuple[Tensor, ...]:  # noqa: ANN401
        """The outputs as ``model``, the checkpoint's ``transformers`` class, computes them; ``inputs`` are int64."""
        ...


class SequenceClassifier(nn.Module):
    """First token, dense, ReLU, dense."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        super().__init__()
        self.encoder = Encoder(checkpoint, reads="first")
        self.pre_classifier = linear(checkpoint.tensors, "pre_classifier")
        self.classifier = linear(checkpoint.tensors, "classifier")

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> tuple[Tensor]:
        """Logits, float32 [batch, labels], of int32 ``input_ids`` and ``attention_mask`` [batch, length]."""
        first = self.encoder(input_ids, attention_mask).squeeze(1)
        return (self.classifier(F.relu(self.pre_classifier(first))),)

    @staticmethod
    def expected(model: Any, checkpoint: Checkpoint, inputs: Tensors) -> tuple[Tensor, ...]:  # noqa: ANN401
        """See :class:`Head`."""
        return (model(**inputs).logits,)


class MultipleChoice(SequenceClassifier):
    """The same with one output: a score for each prompt and choice, float32 [batch, 1]."""

    @staticmethod
    def expected(model: Any, checkpoint: Checkpoint, inputs: Tensors) -> tuple[Tensor, ...]:  # noqa: ANN401
        """Each row of the batch is one choice of a question of its own."""
        return (model(**{name: tensor[:, None] for name, tensor in inputs.items()}).logits,)


class TokenClassifier(nn.Module):
    """A dense layer on every token."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        super().__init__()
        self.encoder = Encoder(checkpoint, reads="all")
        self.classifier = linear(checkpoint.tensors, "classifier")

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> tuple[Tensor]:
        """Logits, float32 [batch, length, labels], of int32 ``input_ids`` and ``attention_mask`` [batch, length]."""
        return (self.classifier(self.encoder(input_ids, attention_mask)),)

    @staticmethod
    def expected(model: Any, checkpoint: Checkpoint, inputs: Tensors) -> tuple[Tensor, ...]:  # noqa: ANN401
        """See :class:`Head`."""
        return (model(**inputs).logits,)


class QuestionAnswerer(nn.Module):
    """A dense layer with two outputs on every token: where an answer starts and where it ends."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        super().__init__()
        self.encoder = Encoder(checkpoint, reads="all")
        self.qa_outputs = linear(checkpoint.tensors, "qa_outputs")

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> tuple[Tensor, Tensor]:
        """Logits of start and end, float32 [batch, length]."""
        logits = self.qa_outputs(self.encoder(input_ids, attention_mask))
        return logits[:, :, 0], logits[:, :, 1]

    @staticmethod
    def expected(model: Any, checkpoint: Checkpoint, inputs: Tensors) -> tuple[Tensor, ...]:  # noqa: ANN401
        """See :class:`Head`."""
        output = model(**inputs)
        return output.start_logits, output.end_logits


class MaskFiller(nn.Module):
    """Dense, activation, normalisation, and the product with every word embedding; for given tokens alone."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        super().__init__()
        tensors = checkpoint.tensors
        self.encoder = Encoder(checkpoint, reads="positions")
        self.activation = str(checkpoint.config["activation"])
        self.vocab_transform = linear(tensors, "vocab_transform")
        self.vocab_layer_norm = layer_norm(tensors, "vocab_layer_norm")
        self.vocab_bias = parameter(tensors["vocab_projector.bias"])

    def forward(self, input_ids: Tensor, attention_mask: Tensor, positions: Tensor) -> tuple[Tensor]:
        """Logits, float32 [batch, n, vocabulary], of the tokens at int32 ``positions`` [batch, n]."""
        rows = self.encoder(input_ids, attention_mask, positions)
        rows = self.vocab_layer_norm(activate(self.vocab_transform(rows), self.activation))
        words = self.encoder.words  # in float16, if the encoder is: as one table, for both of its uses
        return (F.linear(rows.to(words.dtype), words, self.vocab_bias.to(words.dtype)).to(torch.float32),)

    @staticmethod
    def expected(model: Any, checkpoint: Checkpoint, inputs: Tensors) -> tuple[Tensor, ...]:  # noqa: ANN401
        """Those rows of all that ``transformers`` computes."""
        logits = model(input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"]).logits
        return (logits.take_along_dim(inputs["positions"][:, :, None], dim=1),)


class FeatureExtractor(nn.Module):
    """The encoder alone."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        super().__init__()
        self.encoder = Encoder(checkpoint, reads="all")

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> tuple[Tensor]:
        """The last layer's vectors, float32 [batch, length, dim]."""
        return (self.encoder(input_ids, attention_mask),)

    @staticmethod
    def expected(model: Any, checkpoint: Checkpoint, inputs: Tensors) -> tuple[Tensor, ...]:  # noqa: ANN401
        """See :class:`Head`."""
        return (model(**inputs).last_hidden_state,)


class SentenceEmbedder(nn.Module):
    """Pooling over the tokens, dense layers if there are any, and normalisation if asked: a vector for a text.

    Source: Reimers and Gurevych 2019, arXiv 1908.10084, as sentence-transformers computes it.
    """

    def __init__(self, checkpoint: Checkpoint) -> None:
        super().__init__()
        assert checkpoint.pooling is not None
        self.pooling = checkpoint.pooling
        self.encoder = Encoder(checkpoint, reads="first" if self.pooling.mode == "cls" else "all")
        self.dense = nn.ModuleList(linear(dict(layer.tensors), "linear") for layer in self.pooling.dense)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> tuple[Tensor]:
        """The text's vector, float32 [batch, dim]."""
        rows = self.encoder(input_ids, attention_mask)
        if self.pooling.mode == "cls":
            vector = rows.squeeze(1)
        else:
            weights = attention_mask.to(rows.dtype)[:, :, None]
            vector = (rows * weights).sum(dim=1) / weights.sum(dim=1).clamp(min=1e-9)
        for layer, settings in zip(self.dense, self.pooling.dense, strict=True):
            vector = layer(vector)
            if settings.activation == "tanh":
                vector = vector.tanh()
            elif settings.activation != "identity":
                vector = activate(vector, settings.activation)
        return (F.normalize(vector, dim=1) if self.pooling.normalize else vector,)

    @staticmethod
    def expected(model: Any, checkpoint: Checkpoint, inputs: Tensors) -> tuple[Tensor, ...]:  # noqa: ANN401
        """The checkpoint's encoder, then :func:`edgebert.convert.sentence.pooled`."""
        assert checkpoint.pooling is not None
        rows = model(**inputs).last_hidden_state
        return (pooled(rows, inputs["attention_mask"], checkpoint.pooling),)


HEADS: Mapping[str, type[Head]] = {
    "text-classification": SequenceClassifier,
    "zero-shot-classification": SequenceClassifier,
    "token-classification": TokenClassifier,
    "question-answering": QuestionAnswerer,
    "fill-mask": MaskFiller,
    "feature-extraction": FeatureExtractor,
    "sentence-similarity": SentenceEmbedder,
    "multiple-choice": MultipleChoice,
}
"""Task -> head."""
