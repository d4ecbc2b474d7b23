"""What several parts of a manifest have: ids, digests, and files that are named."""

from __future__ import annotations

import re
from dataclasses import fields

from edgebert.bundle import limits
from edgebert.bundle.fields import Field
from edgebert.bundle.paths import PATH_RULE, path_fault
from edgebert.bundle.schema import FileRef

ID = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
ID_RULE = "1 to 64 of a-z, 0-9, '.', '_' and '-', the first a letter or digit"
SHA256 = re.compile(r"[0-9a-f]{64}")
SHA256_RULE = "64 lower-case hexadecimal digits"

_ANY_TEXT = re.compile(r"(?s:.*)")


def keys(kind: type) -> tuple[str, ...]:
    """The keys of an object: the fields of its class, in their order."""
    return tuple(field.name for field in fields(kind))


def file_ref(place: Field, limit: int = limits.MAX_FILE_BYTES) -> FileRef:
    """A file of the bundle, of at most ``limit`` bytes."""
    field = place.object(keys(FileRef))
    path = field["path"].match(_ANY_TEXT, PATH_RULE)
    fault = path_fault(path)
    if fault is not None:
        raise field["path"].fault(fault, PATH_RULE)
    return FileRef(path, field["size"].integer(0, limit), field["sha256"].match(SHA256, SHA256_RULE))
