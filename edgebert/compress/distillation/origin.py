"""Where a checkpoint comes from, as its provenance says it."""

from __future__ import annotations

from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from edgebert._version import __version__
from edgebert.compress.distillation.teacher import parameters
from edgebert.convert.checkpoint import Checkpoint

_TOOLS = ("torch", "transformers", "accelerate", "tokenizers")


def described(checkpoint: Checkpoint) -> dict[str, Any]:
    """Path or hub name, class, number of parameters, and the SHA-256 of each file read."""
    return {
        "source": checkpoint.source,
        "architecture": checkpoint.architecture,
        "parameters": parameters(checkpoint),
        "files": dict(checkpoint.files),
    }


def versions() -> dict[str, str]:
    """The versions of the tools that are installed, by name."""
    found = {"edgebert": __version__}
    for name in _TOOLS:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def now() -> str:
    """The time, RFC 3339, UTC."""
    return datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
