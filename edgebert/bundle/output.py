"""What the operating system says when a result cannot be written, as one ``OutputError``."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

from edgebert.errors import OutputError

_HINTS = {
    errno.EACCES: "Choose a folder that you may write to, or change its permissions.",
    errno.EPERM: "Choose a folder that you may write to, or change its permissions.",
    errno.EROFS: "The file system is mounted read-only: choose a folder on another one.",
    errno.EFBIG: "The file system or the process limit (ulimit -f) allows no file of this size: use another disk.",
    errno.ENAMETOOLONG: "Choose a shorter name.",
    errno.ENOENT: "Create the folder first, or choose another.",
    errno.EISDIR: "A folder has this name: give the name of a file.",
    errno.ENOTDIR: "Part of the path is a file: choose another path.",
}
FULL = (errno.ENOSPC, errno.EDQUOT)


def output_error(error: OSError, path: str | os.PathLike[str], *, needed: int | None = None) -> OutputError:
    """The ``OutputError`` for a failed write.

    Args:
        error: what the operating system said.
        path: what was being written.
        needed: bytes that were to be written, where known.
    """
    reason = error.strerror or str(error)
    size = f" ({needed} bytes)" if needed is not None else ""
    hint = _HINTS.get(error.errno or 0, "Check the disk and the folder, then try again.")
    if error.errno in FULL:
        hint = "Free space there" if needed is None else f"Free at least {needed / 1e6:,.1f} MB there"
        free = _free_bytes(Path(path))
        hint += f" ({free / 1e6:,.1f} MB are free), or write to another disk." if free is not None else "."
    return OutputError(f"Cannot write '{os.fspath(path)}'{size}: {reason}.", hint=hint)


def _free_bytes(path: Path) -> int | None:
    for folder in (path, *path.parents):
        try:
            return shutil.disk_usage(folder).free
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError:
            return None
    return None
