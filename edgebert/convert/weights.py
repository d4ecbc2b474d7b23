"""The tensors of a checkpoint: one safetensors file, several, or on request a pickle."""

from __future__ import annotations

import hashlib
import pickle
import re
from typing import Any

import torch

from edgebert.convert.safetensors_file import is_buffer, read_safetensors
from edgebert.convert.source import PICKLE_NAME, WEIGHTS_INDEX_NAME, WEIGHTS_NAME, SourceDirectory

_FOREIGN_CODE = re.compile(r"GLOBAL ([\w.]+)")
_PICKLE_DTYPES = (torch.float32, torch.float16, torch.bfloat16)


def read_weights(source: SourceDirectory, *, allow_pickle: bool) -> dict[str, torch.Tensor]:
    """Reads all tensors of a checkpoint as float32.

    Looked for in this order, as transformers does: ``model.safetensors``, the shards that
    ``model.safetensors.index.json`` lists, and with ``allow_pickle`` ``pytorch_model.bin``.

    Args:
        source: the checkpoint's directory; the digests of the files read are recorded in it.
        allow_pickle: read ``pytorch_model.bin`` (with ``torch.load(weights_only=True)``) if there is no safetensors.

    Returns:
        Tensor name to tensor: float32, contiguous, finite.

    Raises:
        CheckpointError: no weights, a pickle that was not allowed, broken files, or NaN or infinity in a tensor.
    """
    if source.has(WEIGHTS_NAME):
        tensors = dict(read_safetensors(source, WEIGHTS_NAME))
    elif source.has(WEIGHTS_INDEX_NAME):
        tensors = _read_shards(source)
    elif source.has(PICKLE_NAME) or source.has(f"{PICKLE_NAME}.index.json"):
        tensors = _read_pickle(source, allow_pickle=allow_pickle)
    else:
        raise source.error(
            WEIGHTS_NAME, "no such file: the checkpoint has no weights.", "Save it with `model.save_pretrained(...)`."
        )
    for name, tensor in tensors.items():
        if not torch.isfinite(tensor).all():
            count = int((~torch.isfinite(tensor)).sum())
            raise source.error(
                "", f"tensor {name} holds {count} values that are NaN or infinite.", "The training diverged: retrain."
            )
    return tensors


def _read_shards(source: SourceDirectory) -> dict[str, torch.Tensor]:
    weight_map = source.read_json(WEIGHTS_INDEX_NAME).get("weight_map")
    if not isinstance(weight_map, dict) or not weight_map:
        raise source.error(WEIGHTS_INDEX_NAME, "weight_map must be an object that maps tensors to files.")
    for tensor, shard in weight_map.items():
        if not isinstance(shard, str) or not _is_plain_name(shard):
            raise source.error(
                WEIGHTS_INDEX_NAME, f"tensor {tensor} is in {shard!r}: a shard must be a file next to the index."
            )
    shards = sorted(set(weight_map.values()))
    absent = [shard for shard in shards if not source.has(shard)]
    if absent:
        raise source.error(
            WEIGHTS_INDEX_NAME,
            f"{len(absent)} of {len(shards)} shards are missing: {', '.join(absent)}.",
            "Download the missing files.",
        )
    tensors: dict[str, torch.Tensor] = {}
    for shard in shards:
        for name, tensor in read_safetensors(source, shard):
            if name in tensors:
                raise source.error(shard, f"tensor {name} is also in another shard.")
            if weight_map.get(name) != shard:
                raise source.error(shard, f"holds tensor {name}, but the index puts it in {weight_map.get(name)!r}.")
            tensors[name] = tensor
    lost = [name for name in weight_map if name not in tensors and not is_buffer(name)]
    if lost:
        raise source.error(
            WEIGHTS_INDEX_NAME, f"lists tensor {lost[0]} in {weight_map[lost[0]]}, which does not hold it."
        )
    return tensors


def _is_plain_name(name: str) -> bool:
    return name not in ("", ".", "..") and not set(name) & set("/\\:\0")


def _read_pickle(source: SourceDirectory, *, allow_pickle: bool) -> dict[str, torch.Tensor]:
    if not allow_pickle:
        raise source.error(
            PICKLE_NAME,
            "the weights are a pickle, which can run code when it is loaded; only safetensors is read.",
            "Save the checkpoint as safetensors, or pass --allow-pickle if you trust where it comes from.",
        )
    if not source.has(PICKLE_NAME):
        raise source.error(
            f"{PICKLE_NAME}.index.json", "sharded pickles are not supported.", "Save the checkpoint as safetensors."
        )
    with source.open(PICKLE_NAME) as stream:
        digest = hashlib.sha256()
        while block := stream.read(1 << 20):
            digest.update(block)
        stream.seek(0)  # the same open file: what was hashed is what is loaded
        try:
            stored: Any = torch.load(stream, map_location="cpu", weights_only=True)
        except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, KeyError, OSError, AttributeError) as error:
            # torch's text advises to load it anyway.
            code = _FOREIGN_CODE.search(str(error))
            reason = f"it calls {code[1]}" if code else "it is truncated, or torch.save did not write it"
            raise source.error(
                PICKLE_NAME,
                f"cannot be loaded as plain weights: {reason}.",
                "Save the checkpoint as safetensors.",
            ) from error
    source.digests[PICKLE_NAME] = digest.hexdigest()
    if not isinstance(stored, dict) or not all(isinstance(name, str) for name in stored):
        raise source.error(PICKLE_NAME, f"must hold a dict of tensors by name, holds {type(stored).__name__}.")
    tensors: dict[str, torch.Tensor] = {}
    for name in list(stored):
        tensor = stored.pop(name)  # frees the stored form as the float32 copy grows
        if is_buffer(name):
            continue
        if not isinstance(tensor, torch.Tensor):
            raise source.error(PICKLE_NAME, f"{name} is a {type(tensor).__name__}, not a tensor.")
        if tensor.dtype not in _PICKLE_DTYPES:
            allowed = ", ".join(str(dtype) for dtype in _PICKLE_DTYPES)
            raise source.error(PICKLE_NAME, f"tensor {name} is stored as {tensor.dtype}; weights must be {allowed}.")
        tensors[name] = tensor.to(torch.float32).contiguous()
    return tensors
