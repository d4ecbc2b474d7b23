"""The weights of a checkpoint with fewer rows for tokens; every value, and every other tensor, as it is stored."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from edgebert.convert.source import PICKLE_NAME, WEIGHTS_INDEX_NAME, WEIGHTS_NAME, SourceDirectory

_BY_TOKEN = ("embeddings.word_embeddings.weight", "vocab_projector.weight", "vocab_projector.bias")
"""How the names of the tensors end that have a row for each token."""


def weight_files(source: SourceDirectory) -> list[str]:
    """The files that hold the weights, as ``edgebert.convert.weights.read_weights`` chooses them."""
    if source.has(WEIGHTS_NAME):
        return [WEIGHTS_NAME]
    if source.has(WEIGHTS_INDEX_NAME):
        return sorted(set(source.read_json(WEIGHTS_INDEX_NAME)["weight_map"].values()))
    return [PICKLE_NAME]


def trimmed_weights(source: SourceDirectory, rows: Sequence[int]) -> Iterator[tuple[str, bytes]]:
    """Cuts the tensors that have a row for each token, one file of the weights after the other.

    Args:
        source: the encoder's directory, whose weights ``edgebert.convert.checkpoint.load_checkpoint`` has accepted.
        rows: the ids of the tokens to keep, in order.

    Yields:
        File name and content: safetensors, also of a pickle; last the index of shards, where there are shards.

    Raises:
        CheckpointError: a file has changed since it was accepted, and cannot be read.
    """
    index = torch.tensor(rows)
    total = 0
    for name in weight_files(source):
        tensors, metadata = _read(source, name)
        for by_token in [tensor_name for tensor_name in tensors if tensor_name.endswith(_BY_TOKEN)]:
            tensors[by_token] = tensors[by_token].index_select(0, index)
        total += sum(tensor.nbytes for tensor in tensors.values())
        yield WEIGHTS_NAME if name == PICKLE_NAME else name, save(tensors, metadata=dict(metadata))
    if not source.has(WEIGHTS_NAME) and source.has(WEIGHTS_INDEX_NAME):
        value = source.read_json(WEIGHTS_INDEX_NAME)
        value["metadata"] = {**(value.get("metadata") or {}), "total_size": total}
        yield WEIGHTS_INDEX_NAME, (json.dumps(value, indent=2) + "\n").encode()


def _read(source: SourceDirectory, name: str) -> tuple[dict[str, torch.Tensor], Mapping[str, str]]:
    path = str(source.path / name)
    try:
        if name != PICKLE_NAME:
            with safe_open(path, framework="pt") as file:
                metadata = file.metadata() or {"format": "pt"}
                return {key: file.get_tensor(key) for key in file.keys()}, metadata  # noqa: SIM118
        stored = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, SafetensorError, RuntimeError) as error:
        raise source.error(name, f"cannot be read any more: {error}.", "Did something replace it?") from error
    # Copies: tensors of a pickle may share memory, which safetensors refuses.
    tensors = {key: value.clone().contiguous() for key, value in stored.items() if isinstance(value, torch.Tensor)}
    return tensors, {"format": "pt"}
