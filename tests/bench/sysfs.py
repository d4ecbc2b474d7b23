"""Made-up trees of ``/sys`` and ``/proc``, with a line feed after each value as the kernel writes it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from tests.devices import trees


def write_tree(root: Path, files: Mapping[str, object]) -> Path:
    return trees.write_tree(root, {path: f"{value}\n" for path, value in files.items()})
