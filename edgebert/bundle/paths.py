"""Which paths a bundle may name.

A bundle travels: through archives, over USB sticks, on file systems that fold case. So its paths use the POSIX
portable character set, and two paths that any common file system would merge are a fault.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from edgebert.bundle.limits import MAX_PATH
from edgebert.bundle.schema import MANIFEST_NAME

PATH_RULE = "a relative POSIX path such as 'artifacts/onnx-int8/model.onnx', of letters, digits, '.', '_' and '-'"

_DRIVE = re.compile(r"[A-Za-z]:")
_SEGMENT = re.compile(r"[A-Za-z0-9._-]+")


def path_fault(path: str) -> str | None:
    """Why ``path`` must not stand in a bundle, or ``None`` when it may."""
    if not path:
        return "the path is empty"
    if len(path) > MAX_PATH:
        return f"the path has {len(path)} characters, more than {MAX_PATH}"
    if "\0" in path:
        return "the path contains NUL"
    if "\\" in path:
        return "the path contains a backslash"
    if path.startswith("/"):
        return "the path is absolute"
    if _DRIVE.match(path):
        return "the path has a Windows drive"
    segments = path.split("/")
    if ".." in segments:
        return "the path leads out of its folder ('..')"
    if "" in segments or "." in segments:
        return "the path is not normalised ('//', '.' or a trailing '/')"
    for segment in segments:
        if not _SEGMENT.fullmatch(segment):
            return f"the path part {segment!a} has characters outside letters, digits, '.', '_' and '-'"
        if segment.endswith("."):
            return f"the path part {segment!a} ends in a dot, which some file systems drop"
    if path.lower() == MANIFEST_NAME:
        return f"{MANIFEST_NAME} is the manifest itself"
    return None


def first_collision(paths: Iterable[str]) -> tuple[int, str] | None:
    """The first path that cannot stand beside an earlier one.

    Two paths collide when they are equal but for case, or when one is a folder of the other (``a`` and ``A/b``).

    Args:
        paths: paths without a fault of their own.

    Returns:
        The index of the later path and the earlier path it collides with, or ``None``.
    """
    files: dict[str, str] = {}
    folders: dict[str, str] = {MANIFEST_NAME: MANIFEST_NAME}
    for index, path in enumerate(paths):
        key = path.lower()
        parts = key.split("/")
        above = ["/".join(parts[:depth]) for depth in range(1, len(parts))]
        earlier = files.get(key) or folders.get(key) or next((files[a] for a in above if a in files), None)
        if earlier is None and MANIFEST_NAME in above:
            earlier = MANIFEST_NAME
        if earlier is not None:
            return index, earlier
        files[key] = path
        for folder in above:
            folders.setdefault(folder, path)
    return None
