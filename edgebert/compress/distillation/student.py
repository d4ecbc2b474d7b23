"""The student's size, and the weights that it begins with.

Of the teacher's width, a student takes the embeddings, the head, and some of the layers: by default every layer
``i * L // N`` of ``L`` for ``N``, which is one layer out of two for half of them (Sanh et al. 2019, section 3). What
does not fit in a layer follows one rule:

- other number of heads: the attention begins random;
- smaller feed-forward: its units with the largest product of the norms of their weights in and out are kept;
- larger feed-forward: begins random.

Of another width, word and position embeddings are their coordinates on the first principal axes of the word embeddings
(truncated singular value decomposition), scaled back to the teacher's standard deviation; all the rest begins random.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from edgebert.convert.checkpoint import Checkpoint
from edgebert.errors import OptionError

_EMBEDDINGS = "distilbert.embeddings"
_LAYERS = "distilbert.transformer.layer"


@dataclass(frozen=True, slots=True)
class StudentShape:
    """What is asked of the student; ``None`` for the default.

    Attributes:
        layers: number of layers; half of the teacher's by default, or as many as ``take_layers`` names.
        dim: width; the teacher's by default.
        heads: attention heads; the teacher's by default.
        hidden_dim: width of the feed-forward; the teacher's by default, for another width four times ``dim``.
        take_layers: the teacher's layers to begin with, counted from 0.
    """

    layers: int | None = None
    dim: int | None = None
    heads: int | None = None
    hidden_dim: int | None = None
    take_layers: tuple[int, ...] | None = None


@dataclass(frozen=True, slots=True)
class Sizes:
    """The student's sizes, and the teacher's layers that it begins with (``None`` for another width)."""

    layers: int
    dim: int
    heads: int
    hidden_dim: int
    taken: tuple[int, ...] | None


def alternate_layers(count: int, of: int) -> tuple[int, ...]:
    """The layers that a student of ``count`` takes from a teacher ``of`` so many: evenly spaced, the first one in."""
    return tuple(index * of // count for index in range(count))


def student_sizes(shape: StudentShape, config: Mapping[str, Any]) -> Sizes:
    """Fills in the defaults.

    Args:
        shape: what is asked.
        config: the teacher's configuration in DistilBERT's names.

    Raises:
        OptionError: the sizes cannot be a student's of this teacher.
    """
    of = int(config["n_layers"])
    dim = shape.dim or int(config["dim"])
    same = dim == config["dim"]
    heads = shape.heads or int(config["n_heads"])
    hidden_dim = shape.hidden_dim or (int(config["hidden_dim"]) if same else 4 * dim)
    taken = shape.take_layers
    layers = shape.layers or (len(taken) if taken is not None else max(1, of // 2))
    if dim % heads:
        raise OptionError(
            f"{heads} heads cannot share a width of {dim} without remainder.",
            option="heads",
            hint="Choose a number of heads (--heads) that divides the width (--dim).",
        )
    if layers > of:
        raise OptionError(
            f"The student would have {layers} layers, the teacher has {of}.",
            option="layers",
            hint="A student has at most as many layers as its teacher.",
        )
    if taken is None:
        return Sizes(layers, dim, heads, hidden_dim, alternate_layers(layers, of) if same else None)
    if not same:
        raise OptionError(
            f"Layers of width {config['dim']} cannot be taken into a student of width {dim}.",
            option="take_layers",
            hint="Leave --take-layers out, or --dim.",
        )
    check_layers(taken, of, "take_layers")
    if len(taken) != layers:
        raise OptionError(
            f"{len(taken)} layers are to be taken, the student has {layers}.",
            option="take_layers",
            hint="Name as many as --layers says, or leave --layers out.",
        )
    return Sizes(layers, dim, heads, hidden_dim, tuple(taken))


def check_layers(layers: Sequence[int], of: int, option: str) -> None:
    """Raises ``OptionError`` unless the layers are some of 0 to ``of - 1``, in ascending order and each once."""
    if not layers or list(layers) != sorted(set(layers)) or layers[0] < 0 or layers[-1] >= of:
        raise OptionError(
            f"{option}={','.join(map(str, layers))} is not allowed.",
            option=option,
            hint=f"Name layers from 0 to {of - 1} in ascending order, each once, such as 0,{of // 2}.",
        )


def new_student(teacher: Checkpoint, sizes: Sizes, seed: int, start: Checkpoint | None = None) -> torch.nn.Module:
    """A student with its first weights, in training mode.

    Args:
        teacher: the teacher in DistilBERT's names.
        sizes: the student's sizes; those of ``start``, if there is one.
        seed: of random weights.
        start: a DistilBERT to begin as, in place of the teacher's layers; its head is taken if it is of the same class
            and labels, else the teacher's if the width is the same.
    """
    import transformers

    config = transformers.DistilBertConfig.from_dict(
        {
            **teacher.config,
            "n_layers": sizes.layers,
            "dim": sizes.dim,
            "n_heads": sizes.heads,
            "hidden_dim": sizes.hidden_dim,
            "architectures": [teacher.architecture],
            "dtype": "float32",
        }
    )
    if start is not None:
        config.max_position_embeddings = start.config["max_position_embeddings"]
        config.activation = start.config["activation"]
    torch.manual_seed(seed)
    model: torch.nn.Module = getattr(transformers, teacher.architecture)(config)
    own = model.state_dict()
    if start is not None:
        first = {name: tensor for name, tensor in start.tensors.items() if name.startswith("distilbert.")}
        same_head = start.architecture == teacher.architecture and start.task.labels == teacher.task.labels
        first.update(_head(start) if same_head else _head(teacher) if sizes.dim == teacher.config["dim"] else {})
    elif sizes.taken is None:
        first = _projected(teacher, sizes.dim)
    else:
        first = _taken(teacher, sizes, sizes.taken)
    for name, tensor in first.items():
        own[name].copy_(tensor)
    return model.train()


def _head(checkpoint: Checkpoint) -> dict[str, torch.Tensor]:
    return {name: tensor for name, tensor in checkpoint.tensors.items() if not name.startswith("distilbert.")}


def _taken(teacher: Checkpoint, sizes: Sizes, taken: Sequence[int]) -> dict[str, torch.Tensor]:
    first = {name: tensor for name, tensor in teacher.tensors.items() if not name.startswith(_LAYERS)}
    for new, old in enumerate(taken):
        prefix = f"{_LAYERS}.{old}."
        layer = {
            name.removeprefix(prefix): tensor for name, tensor in teacher.tensors.items() if name.startswith(prefix)
        }
        if sizes.heads != teacher.config["n_heads"]:
            layer = {name: tensor for name, tensor in layer.items() if not name.startswith("attention.")}
        if sizes.hidden_dim > teacher.config["hidden_dim"]:
            layer = {name: tensor for name, tensor in layer.items() if not name.startswith("ffn.")}
        elif sizes.hidden_dim < teacher.config["hidden_dim"]:
            layer.update(_narrowed(layer, sizes.hidden_dim))
        first.update({f"{_LAYERS}.{new}.{name}": tensor for name, tensor in layer.items()})
    return first


def _narrowed(layer: Mapping[str, torch.Tensor], units: int) -> dict[str, torch.Tensor]:
    """The feed-forward with its ``units`` strongest units, in their order."""
    into, out = layer["ffn.lin1.weight"], layer["ffn.lin2.weight"]
    strength = into.norm(dim=1) * out.norm(dim=0)
    kept = strength.argsort(descending=True, stable=True)[:units].sort().values
    return {
        "ffn.lin1.weight": into[kept],
        "ffn.lin1.bias": layer["ffn.lin1.bias"][kept],
        "ffn.lin2.weight": out[:, kept],
    }


def _projected(teacher: Checkpoint, dim: int) -> dict[str, torch.Tensor]:
    """Embeddings on the principal axes of the word embeddings; nothing for a wider student."""
    if dim > teacher.config["dim"]:
        return {}
    names = (f"{_EMBEDDINGS}.word_embeddings.weight", f"{_EMBEDDINGS}.position_embeddings.weight")
    words, positions = (teacher.tensors[name].double() for name in names)
    centered = words - words.mean(dim=0)
    axes = torch.linalg.eigh(centered.T @ centered).eigenvectors.flip(1)[:, :dim]
    coordinates = centered @ axes
    scale = words.std() / coordinates.std()
    return {names[0]: (coordinates * scale).float(), names[1]: (positions @ axes * scale).float()}
