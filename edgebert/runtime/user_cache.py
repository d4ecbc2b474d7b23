"""Folders in the user's cache: where they are, and whether somebody else could have put something there."""

from __future__ import annotations

import os
import stat
from pathlib import Path


def user_cache() -> Path | None:
    """``edgebert`` in the user's cache; ``None`` where the user has no home.

    The cache is ``XDG_CACHE_HOME``, where it is an absolute path (as the XDG base directory specification wants), else
    ``~/.cache``.
    """
    shared = Path(os.environ.get("XDG_CACHE_HOME", ""))
    if not shared.is_absolute():
        try:
            shared = Path.home() / ".cache"
        except RuntimeError:
            return None
    return shared / "edgebert"


def why_foreign(status: os.stat_result) -> str | None:
    """Why somebody else may have written a file or folder, or ``None`` when nobody else can have."""
    if status.st_uid != os.geteuid():
        return f"it belongs to the user {status.st_uid}, and this process is the user {os.geteuid()}"
    if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        return f"others may write to it (mode {stat.S_IMODE(status.st_mode):04o})"
    return None
