"""Reading a safetensors file tensor by tensor, checked, hashed and widened to float32 in one pass.

The format: 8 bytes little-endian header size, a JSON header of ``{name: {dtype, shape, data_offsets}}``, then the
tensors without holes (https://github.com/huggingface/safetensors#format). The ``safetensors`` package maps the file;
reading it here instead gives the hash without a second pass, and never holds more than one tensor in stored form.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from typing import TypeGuard

import torch

from edgebert.convert.source import HashingFile, SourceDirectory, unique_keys

_DTYPES = {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}
_MAX_HEADER = 100_000_000  # the limit of the safetensors package


@dataclass(frozen=True, slots=True)
class _Entry:
    name: str
    dtype: str
    shape: tuple[int, ...]
    begin: int
    end: int


def is_buffer(name: str) -> bool:
    """Whether a tensor is a constant that older transformers stored along with the weights and that nothing reads."""
    return name == "position_ids" or name.endswith(".position_ids")


def read_safetensors(source: SourceDirectory, name: str) -> Iterator[tuple[str, torch.Tensor]]:
    """Yields the tensors of a file in stored order, then records the file's SHA-256 in ``source.digests``.

    Args:
        source: the checkpoint's directory.
        name: the file's name in it.

    Yields:
        Tensor name and tensor: float32, contiguous, widened from float32, float16 or bfloat16. Known buffers
        (``position_ids``) are left out.

    Raises:
        CheckpointError: the file is truncated, too long or corrupt, or holds another dtype.
    """
    with source.open(name) as stream:
        file = HashingFile(stream, str(source.path / name))
        for entry in _read_header(source, name, file):
            data = file.read(entry.end - entry.begin)
            if is_buffer(entry.name):
                continue
            if entry.dtype not in _DTYPES:
                raise source.error(
                    name,
                    f"tensor {entry.name} is stored as {entry.dtype}; weights must be {', '.join(_DTYPES)}.",
                    "Save the checkpoint in one of these types (quantized checkpoints cannot be converted).",
                )
            yield entry.name, _decode(data, entry)
        source.digests[name] = file.sha256()


def _decode(data: bytearray, entry: _Entry) -> torch.Tensor:
    if not data:  # torch.frombuffer refuses an empty buffer
        return torch.empty(entry.shape, dtype=torch.float32)
    return torch.frombuffer(data, dtype=_DTYPES[entry.dtype]).reshape(entry.shape).to(torch.float32)


def _read_header(source: SourceDirectory, name: str, file: HashingFile) -> list[_Entry]:
    again = "Download or save the file again."
    if file.size < 8:
        raise source.error(name, f"truncated: expected at least 8 bytes, the file has {file.size}.", again)
    prefix = bytes(file.read(8))
    if prefix == b"version ":
        source.refuse_lfs_pointer(name, prefix + bytes(file.read(min(64, file.size - 8))))
    size = int.from_bytes(prefix, "little")
    if size > _MAX_HEADER:
        raise source.error(name, f"not a safetensors file: it announces a header of {size} bytes.", again)
    if 8 + size > file.size:
        raise source.error(
            name, f"truncated: the header alone needs {8 + size} bytes, the file has {file.size}.", again
        )
    try:
        header = json.loads(bytes(file.read(size)).decode("utf-8"), object_pairs_hook=unique_keys)
        if not isinstance(header, dict):
            raise ValueError("it is not a JSON object")
        entries = [_entry(key, value) for key, value in header.items() if key != "__metadata__"]
    except (ValueError, RecursionError) as error:
        raise source.error(name, f"corrupt safetensors header: {error}.", again) from error

    entries.sort(key=lambda entry: (entry.begin, entry.end))
    position = 0
    for entry in entries:
        if entry.begin != position:
            raise source.error(
                name, f"corrupt: tensor {entry.name} starts at byte {entry.begin}, expected {position}.", again
            )
        position = entry.end
    expected = 8 + size + position
    if file.size != expected:
        state = "truncated" if file.size < expected else "too long"
        raise source.error(name, f"{state}: expected {expected} bytes, the file has {file.size}.", again)
    return entries


_BITS = {"F64": 64, "F32": 32, "F16": 16, "BF16": 16, "I64": 64, "I32": 32, "I16": 16, "I8": 8, "U8": 8, "BOOL": 8}


def _entry(name: str, value: object) -> _Entry:
    """One header entry. Raises ``ValueError`` naming what is wrong."""
    if not isinstance(value, dict) or set(value) != {"dtype", "shape", "data_offsets"}:
        raise ValueError(f"entry {name!r} must hold dtype, shape and data_offsets")
    dtype, shape, offsets = value["dtype"], value["shape"], value["data_offsets"]
    if not isinstance(dtype, str):
        raise ValueError(f"the dtype of {name!r} is not text")
    if not _sizes(shape):
        raise ValueError(f"the shape of {name!r} is {shape!r}")
    if not _sizes(offsets) or len(offsets) != 2 or offsets[0] > offsets[1]:
        raise ValueError(f"the data_offsets of {name!r} are {offsets!r}")
    begin, end = offsets
    if dtype in _BITS and prod(shape) * _BITS[dtype] != (end - begin) * 8:
        raise ValueError(f"{name!r} is {dtype} {shape}: {prod(shape) * _BITS[dtype] // 8} bytes, has {end - begin}")
    return _Entry(name, dtype, tuple(shape), begin, end)


def _sizes(value: object) -> TypeGuard[list[int]]:
    return isinstance(value, list) and all(type(item) is int and item >= 0 for item in value)
