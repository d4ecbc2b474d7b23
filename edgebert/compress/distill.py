"""Knowledge distillation of a sequence classifier on CPU.

The loss is Hinton et al. 2015 (arXiv 1503.02531) as DistilBERT uses it (Sanh et al. 2019, arXiv 1910.01108): the
Kullback-Leibler divergence to the teacher's temperature-softened answer, plus cross-entropy with the true label.
"""

from __future__ import annotations

import contextlib
import random
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

TokenIds = Sequence[int]


@dataclass(frozen=True, slots=True)
class Example:
    """One training text as token ids, its label, and the teacher's logits for it."""

    ids: tuple[int, ...]
    label: int
    teacher: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Recipe:
    """The hyper-parameters of a training run.

    ``temperature`` softens both answers, ``hard_weight`` is the share of cross-entropy in the loss, ``mask_rate`` the
    share of input tokens replaced by ``[MASK]``. The learning rate rises over the first tenth of the steps and then
    falls to zero, both linearly.
    """

    epochs: int
    batch_size: int = 64
    learning_rate: float = 1e-3
    embedding_learning_rate: float = 1e-3
    weight_decay: float = 0.05
    temperature: float = 2.0
    hard_weight: float = 0.3
    mask_rate: float = 0.1


@dataclass(frozen=True, slots=True)
class Epoch:
    """What one epoch gave: mean training loss, held-out accuracy in [0, 1], and seconds since the start."""

    number: int
    loss: float
    accuracy: float
    seconds: float


def distillation_loss(
    student: Tensor, teacher: Tensor, labels: Tensor, *, temperature: float, hard_weight: float
) -> Tensor:
    """The loss of a batch, a scalar.

    Args:
        student: float32 logits [batch, labels].
        teacher: float32 logits [batch, labels].
        labels: int64 class indices [batch].
        temperature: softens both distributions; the divergence is multiplied by its square, which keeps the
            gradient's size (Hinton et al., section 2).
        hard_weight: share of cross-entropy, in [0, 1].
    """
    soft = functional.kl_div(
        functional.log_softmax(student / temperature, dim=-1),
        functional.log_softmax(teacher / temperature, dim=-1),
        reduction="batchmean",
        log_target=True,
    )
    hard = functional.cross_entropy(student, labels)
    return (1 - hard_weight) * temperature**2 * soft + hard_weight * hard


def project_embeddings(table: NDArray[np.float32], dim: int, *, std: float) -> NDArray[np.float32]:
    """The rows' coordinates on their first ``dim`` principal axes, scaled to a common standard deviation.

    Args:
        table: float32 [rows, width].
        dim: number of axes, at most ``min(rows, width)``.
        std: standard deviation of all the returned values together.

    Returns:
        float32 [rows, dim].
    """
    centered = table - table.mean(axis=0)
    axes = np.linalg.svd(centered, full_matrices=False)[2][:dim]
    projected = centered @ axes.T
    return np.asarray(projected * (std / projected.std()), dtype=np.float32)


def join_examples(examples: Sequence[Example], *, count: int, longest: int, seed: int) -> list[Example]:
    """Long texts made of short ones, so that positions beyond the longest short text are trained too.

    Each is 2 to 10 examples of one label in a row between one ``[CLS]`` and one ``[SEP]``, as many as fit; its teacher
    logits are the mean of theirs.

    Args:
        examples: what to join; the first and the last id of each are ``[CLS]`` and ``[SEP]``.
        count: how many texts to make.
        longest: most tokens of a text; no example may be longer.
        seed: of the choice.
    """
    rng = random.Random(seed)
    by_label: dict[int, list[Example]] = {}
    for example in examples:
        by_label.setdefault(example.label, []).append(example)
    joined = []
    for _ in range(count):
        candidates = by_label[rng.choice(sorted(by_label))]
        parts = [rng.choice(candidates) for _ in range(rng.randint(2, 10))]
        while sum(len(part.ids) - 2 for part in parts) + 2 > longest:
            parts.pop()
        inner = [token for part in parts for token in part.ids[1:-1]]
        logits = np.mean([part.teacher for part in parts], axis=0)
        first = parts[0]
        joined.append(Example((first.ids[0], *inner, first.ids[-1]), first.label, tuple(map(float, logits))))
    return joined


def length_batches(lengths: Sequence[int], batch_size: int, rng: random.Random) -> Iterator[list[int]]:
    """One epoch of batches of indices, each of texts of similar length, in random order.

    The texts are shuffled and cut into pools of 50 batches, and only a pool is sorted by length: padding is rare,
    and batches differ from epoch to epoch.
    """
    order = list(range(len(lengths)))
    rng.shuffle(order)
    batches = []
    for start in range(0, len(order), 50 * batch_size):
        pool = sorted(order[start : start + 50 * batch_size], key=lengths.__getitem__)
        batches += [pool[at : at + batch_size] for at in range(0, len(pool), batch_size)]
    rng.shuffle(batches)
    yield from batches


def predict(
    model: nn.Module,
    texts: Sequence[TokenIds],
    *,
    pad_id: int,
    batch_size: int = 64,
    bfloat16: bool = False,
    progress: Callable[[int], None] | None = None,
) -> NDArray[np.float32]:
    """Logits of a ``transformers`` sequence classifier, float32 [texts, labels].

    Args:
        model: the classifier; it is put into evaluation mode.
        texts: token ids, special tokens included.
        pad_id: fills the shorter texts of a batch.
        batch_size: texts a batch.
        bfloat16: compute matrix products in bfloat16 (for processors that have it in hardware).
        progress: called with the number of texts done.
    """
    model.eval()
    order = sorted(range(len(texts)), key=lambda index: -len(texts[index]))
    rows: dict[int, NDArray[np.float32]] = {}
    for start in range(0, len(order), batch_size):
        batch = order[start : start + batch_size]
        inputs, mask = pad([texts[index] for index in batch], pad_id)
        with torch.inference_mode(), _precision(bfloat16):
            logits = model(input_ids=inputs, attention_mask=mask).logits.float().numpy()
        rows.update(zip(batch, logits, strict=True))
        if progress is not None:
            progress(start + len(batch))
    return np.stack([rows[index] for index in range(len(texts))])


def pad(texts: Sequence[TokenIds], pad_id: int) -> tuple[Tensor, Tensor]:
    """A batch and its attention mask, both int64 [texts, longest]."""
    longest = max(map(len, texts))
    inputs = torch.tensor([[*ids, *[pad_id] * (longest - len(ids))] for ids in texts])
    mask = torch.tensor([[1] * len(ids) + [0] * (longest - len(ids)) for ids in texts])
    return inputs, mask


def train(
    model: nn.Module,
    examples: Sequence[Example],
    held_out: Sequence[Example],
    recipe: Recipe,
    *,
    pad_id: int,
    mask_id: int,
    seed: int,
    bfloat16: bool,
    report: Callable[[Epoch], None],
) -> list[Epoch]:
    """Trains a DistilBERT sequence classifier in place and returns its learning curve.

    Args:
        model: ``DistilBertForSequenceClassification``.
        examples: what to learn from.
        held_out: measured after each epoch.
        recipe: hyper-parameters.
        pad_id: id of the padding token.
        mask_id: id of the mask token.
        seed: of batches, masks and dropout.
        bfloat16: compute matrix products in bfloat16; weights and optimizer stay float32.
        report: called after each epoch.
    """
    torch.manual_seed(seed)
    rng = random.Random(seed)
    optimizer = _optimizer(model, recipe)
    lengths = [len(example.ids) for example in examples]
    steps = recipe.epochs * -(-len(examples) // recipe.batch_size)
    warmup = max(1, steps // 10)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min((step + 1) / warmup, (steps - step) / (steps - warmup or 1))
    )
    curve = []
    started = time.monotonic()
    for number in range(1, recipe.epochs + 1):
        model.train()
        losses = []
        for batch in length_batches(lengths, recipe.batch_size, rng):
            inputs, mask = pad([examples[index].ids for index in batch], pad_id)
            masked = (torch.rand(inputs.shape) < recipe.mask_rate) & (mask == 1)
            masked[:, 0] = False  # the head reads [CLS]
            inputs = inputs.masked_fill(masked, mask_id)
            with _precision(bfloat16):
                logits = model(input_ids=inputs, attention_mask=mask).logits
            loss = distillation_loss(
                logits.float(),
                torch.tensor([examples[index].teacher for index in batch]),
                torch.tensor([examples[index].label for index in batch]),
                temperature=recipe.temperature,
                hard_weight=recipe.hard_weight,
            )
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            losses.append(loss.item())
        epoch = Epoch(number, float(np.mean(losses)), accuracy(model, held_out, pad_id), time.monotonic() - started)
        report(epoch)
        curve.append(epoch)
    return curve


def accuracy(model: nn.Module, examples: Sequence[Example], pad_id: int) -> float:
    """Share of the examples whose label has the highest logit, computed in float32."""
    logits = predict(model, [example.ids for example in examples], pad_id=pad_id)
    return float(np.mean(logits.argmax(axis=1) == [example.label for example in examples]))


def _optimizer(model: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    """AdamW; biases and norms do not decay, embeddings have a learning rate of their own."""
    groups: dict[str, list[Tensor]] = {"embedding": [], "matrix": [], "vector": []}
    for name, parameter in model.named_parameters():
        kind = "vector" if parameter.ndim < 2 else "embedding" if "embeddings" in name else "matrix"
        groups[kind].append(parameter)
    return torch.optim.AdamW(
        [
            {"params": groups["embedding"], "lr": recipe.embedding_learning_rate, "weight_decay": 0.0},
            {"params": groups["matrix"], "lr": recipe.learning_rate, "weight_decay": recipe.weight_decay},
            {"params": groups["vector"], "lr": recipe.learning_rate, "weight_decay": 0.0},
        ]
    )


def _precision(bfloat16: bool) -> contextlib.AbstractContextManager[Any]:
    return torch.autocast("cpu", torch.bfloat16) if bfloat16 else contextlib.nullcontext()
