"""Recorded and made-up /proc and /sys trees for the tests."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

RECORDINGS = Path(__file__).parent / "recordings"


def recording(name: str) -> dict[str, str]:
    """The files of one recording: path on the device -> text."""
    parts = re.split(r"^==> (/.+) <==\n", (RECORDINGS / f"{name}.txt").read_text(), flags=re.MULTILINE)
    files = {}
    for path, text in zip(parts[1::2], parts[2::2], strict=True):
        content = text.removesuffix("\n") if path != parts[-2] else text  # the empty line that tail puts in between
        files[path] = content.removesuffix("\n") + "\0" if "device-tree" in path else content
    return files


def write_tree(root: Path, files: Mapping[str, str]) -> Path:
    for path, text in files.items():
        target = root / path.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(text.encode("utf-8", errors="surrogateescape"))
    return root
