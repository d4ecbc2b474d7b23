"""Writing a wheel: files, and the record of their hashes (PEP 427, PEP 376)."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import zipfile
from collections.abc import Mapping


def write_wheel(archive: zipfile.ZipFile, contents: Mapping[str, bytes]) -> None:
    """Write files and their ``RECORD`` into an empty archive; the same files give the same bytes.

    Args:
        archive: open for writing.
        contents: POSIX path -> content, a ``*.dist-info/METADATA`` among them, without ``RECORD``.
    """
    [folder] = {name.partition("/")[0] for name in contents if name.endswith(".dist-info/METADATA")}
    record = io.StringIO()
    rows = csv.writer(record, lineterminator="\n")
    # The folder of the metadata comes last, as PEP 427 asks.
    for name in sorted(contents, key=lambda name: (name.startswith(f"{folder}/"), name)):
        archive.writestr(_entry(name), contents[name])
        digest = base64.urlsafe_b64encode(hashlib.sha256(contents[name]).digest()).rstrip(b"=").decode()
        rows.writerow((name, f"sha256={digest}", len(contents[name])))
    rows.writerow((f"{folder}/RECORD", "", ""))
    archive.writestr(_entry(f"{folder}/RECORD"), record.getvalue())


def _entry(name: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name)  # dated 1980, the first that the format knows
    entry.compress_type = zipfile.ZIP_DEFLATED
    entry.external_attr = 0o100644 << 16
    return entry
