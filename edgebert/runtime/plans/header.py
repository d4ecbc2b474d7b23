"""The first line of a plan's file: one line of JSON that says what follows it, so that a file describes itself."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass

from edgebert.bundle import limits
from edgebert.bundle.fields import Document, read_json
from edgebert.runtime.plans.key import PLAN_FORMAT, PlanKey, parse_key

MAX_HEADER_BYTES = 64 << 10

_DOCUMENT = Document("the header of a plan", "one", MAX_HEADER_BYTES)
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Header:
    """What a plan was built for, its size in bytes, and its SHA-256."""

    key: PlanKey
    size: int
    sha256: str


def header_of(key: PlanKey, plan: bytes) -> Header:
    """The header that a plan gets."""
    return Header(key, len(plan), hashlib.sha256(plan).hexdigest())


def dump_header(header: Header) -> bytes:
    """The line, with the newline that ends it.

    Raises:
        ManifestError: nobody could read it, since a part of the key is not what it may be.
    """
    line = _line(header)
    parse_header(line)
    return line


def parse_header(line: bytes) -> Header:
    """Reads and checks the line, which has one form only: that of :func:`dump_header`.

    Raises:
        ManifestError: it is no such line.
    """
    root = read_json(line, _DOCUMENT)
    field = root.object(("format", "size", "sha256", "key"))
    field["format"].choice((PLAN_FORMAT,))
    header = Header(
        key=parse_key(field["key"]),
        size=field["size"].integer(0, limits.MAX_FILE_BYTES),
        sha256=field["sha256"].match(_SHA256, "64 lower-case hexadecimal digits"),
    )
    if _line(header) != line:
        raise root.fault("is written in another way", "canonical JSON and one newline")
    return header


def _line(header: Header) -> bytes:
    start = json.dumps({"format": PLAN_FORMAT, "size": header.size, "sha256": header.sha256})
    return f'{start[:-1]}, "key": {header.key.to_json()}}}\n'.encode("ascii")
