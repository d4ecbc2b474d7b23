"""EdgeBERT's wheel for devices: without the embedded checkpoint, which only a build host reads."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path

from edgebert.convert.wheelhouse.archive import write_wheel

DEVICE = "device"
"""The local part of its version (PEP 440), so that nobody takes it for the whole one: ``0.1.0+device``."""

_LEFT_OUT = "edgebert/assets/default/"


def write_device_wheel(wheel: Path, folder: Path) -> Path:
    """Write the device's wheel, made of the whole one, into ``folder``.

    Args:
        wheel: EdgeBERT's wheel. One for devices is written again as it is.
        folder: an existing folder.

    Returns:
        Its path, as ``edgebert-0.1.0+device-py3-none-any.whl``.

    Raises:
        OSError: it cannot be read or written.
    """
    name, version, tags = wheel.name.split("-", 2)
    local = version if version.partition("+")[2] == DEVICE else f"{version}+{DEVICE}"
    old, new = f"{name}-{version}.dist-info/", f"{name}-{local}.dist-info/"
    contents: dict[str, bytes] = {}
    with zipfile.ZipFile(wheel) as archive:
        for entry in archive.infolist():
            if entry.is_dir() or entry.filename.startswith(_LEFT_OUT) or entry.filename == f"{old}RECORD":
                continue
            moved = f"{new}{entry.filename.removeprefix(old)}" if entry.filename.startswith(old) else entry.filename
            contents[moved] = archive.read(entry)
    contents[f"{new}METADATA"] = re.sub(
        rb"^Version: .*$", f"Version: {local}".encode(), contents[f"{new}METADATA"], count=1, flags=re.MULTILINE
    )
    path = folder / f"{name}-{local}-{tags}"
    with zipfile.ZipFile(path, "x", zipfile.ZIP_DEFLATED) as archive:
        write_wheel(archive, contents)
    return path
