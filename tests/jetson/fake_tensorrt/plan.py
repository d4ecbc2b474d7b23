"""The plans of the stand-in: what they were built with, the ONNX file with its weights, and a checksum."""

from __future__ import annotations

import hashlib
import json
import struct
from dataclasses import asdict, dataclass, field
from typing import Any

_MAGIC = b"fake TensorRT plan\n"
_CACHE_MAGIC = b"fake TensorRT timing cache\n"


@dataclass
class PlanHeader:
    """What a plan was built for and with.

    ``profiles`` are input name -> [min, opt, max]; ``flags`` and ``constraints`` (layer name -> precision) are what the
    builder was told; ``types`` are tensor name -> type that the builder chose; ``layers`` is what the inspector tells.
    """

    version: str
    gpu: str
    capability: list[int]
    strongly_typed: bool
    shares_profiles: bool
    verbosity: str
    workspace: int
    flags: list[str]
    profiles: list[dict[str, list[list[int]]]]
    constraints: dict[str, str] = field(default_factory=dict)
    layers: list[dict[str, Any]] = field(default_factory=list)


def dump_plan(header: PlanHeader, model: bytes) -> bytes:
    """The bytes of a plan."""
    return _seal(_MAGIC, asdict(header), model)


def load_plan(data: bytes) -> tuple[PlanHeader, bytes]:
    """Header and ONNX file of a plan.

    Raises:
        ValueError: it is damaged, or none.
    """
    header, model = _open(_MAGIC, data)
    return PlanHeader(**header), model


def dump_timings(device: dict[str, Any], entries: dict[str, str]) -> bytes:
    """The bytes of a timing cache: for which device it is, and what was timed."""
    return _seal(_CACHE_MAGIC, {"device": device, "entries": entries}, b"")


def load_timings(data: bytes) -> tuple[dict[str, Any], dict[str, str]]:
    """Device and entries of a timing cache.

    Raises:
        ValueError: it is damaged, or none.
    """
    header, _ = _open(_CACHE_MAGIC, data)
    return header["device"], header["entries"]


def _seal(magic: bytes, header: dict[str, Any], rest: bytes) -> bytes:
    text = json.dumps(header, sort_keys=True).encode()
    body = magic + struct.pack("<Q", len(text)) + text + rest
    return body + hashlib.sha256(body).digest()


def _open(magic: bytes, data: bytes) -> tuple[dict[str, Any], bytes]:
    if not data.startswith(magic):
        raise ValueError("magic tag does not match")
    body, digest = data[:-32], data[-32:]
    if hashlib.sha256(body).digest() != digest:
        raise ValueError("serialization assertion failed: checksum does not match")
    place = len(magic) + 8
    (size,) = struct.unpack_from("<Q", body, len(magic))
    return json.loads(body[place : place + size]), body[place + size :]
