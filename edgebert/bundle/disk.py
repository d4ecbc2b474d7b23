"""The files of a folder as they lie on disk: links are never followed, content is hashed while it streams."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable
from pathlib import Path

from edgebert.bundle.schema import FileRef
from edgebert.errors import IntegrityError

HINT = "Convert the checkpoint again, or copy the bundle again."

_CHUNK = 1 << 20
# Not blocking: a FIFO that takes the file's place must not hang the reader.
_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def scan(root: Path) -> dict[str, os.stat_result]:
    """Everything under ``root`` that is not a folder, by POSIX path relative to it; links are listed, not followed.

    Raises:
        OSError: a folder cannot be read.
    """
    found: dict[str, os.stat_result] = {}
    folders = [""]
    while folders:
        prefix = folders.pop()
        with os.scandir(root / prefix) as entries:
            for entry in entries:
                status = entry.stat(follow_symlinks=False)
                if stat.S_ISDIR(status.st_mode):
                    folders.append(f"{prefix}{entry.name}/")
                else:
                    found[prefix + entry.name] = status
    return found


def check_plain(path: str, status: os.stat_result) -> None:
    """Refuses what is not a regular file.

    Raises:
        IntegrityError: it is a link, a folder or a special file.
    """
    if stat.S_ISLNK(status.st_mode):
        raise fault(path, "is a symbolic link; a bundle has plain files only")
    if not stat.S_ISREG(status.st_mode):
        raise fault(path, "is not a plain file")


def stream(root: Path, path: str, sink: Callable[[memoryview], object], limit: int) -> FileRef:
    """Reads a plain file once, in pieces.

    Args:
        root: the folder of the bundle.
        path: POSIX path relative to ``root``; no part of it may be a link.
        sink: called with each piece, in order.
        limit: the file is read no further than one byte beyond this size.

    Returns:
        Path, size in bytes and SHA-256 of what was read.

    Raises:
        IntegrityError: the file is missing, not plain, or cannot be read.
    """
    digest, size = hashlib.sha256(), 0
    buffer = memoryview(bytearray(_CHUNK))
    try:
        for parent in list(Path(path).parents)[-2::-1]:
            if not stat.S_ISDIR((root / parent).lstat().st_mode):
                raise fault(parent.as_posix(), "is not a plain folder")
        check_plain(path, (root / path).lstat())
        with os.fdopen(os.open(root / path, _FLAGS), "rb", 0) as file:
            while size <= limit and (count := file.readinto(buffer[: min(_CHUNK, limit + 1 - size)])):
                size += count
                digest.update(buffer[:count])
                sink(buffer[:count])
    except FileNotFoundError:
        raise fault(path, "is missing") from None
    except PermissionError as error:
        failure = fault(path, f"cannot be read ({error.strerror})")
        raise IntegrityError(failure.message, hint="Check its permissions.") from error
    except OSError as error:
        raise fault(path, f"cannot be read ({error.strerror})") from error
    return FileRef(path, size, digest.hexdigest())


def check(root: Path, ref: FileRef, sink: Callable[[memoryview], object]) -> None:
    """Reads a file and compares its size and SHA-256 with ``ref``.

    Raises:
        IntegrityError: the file is missing, not plain, unreadable, or has another size or content.
    """
    found = stream(root, ref.path, sink, ref.size)
    if found.size != ref.size:
        raise wrong_size(ref, f"more than {ref.size}" if found.size > ref.size else str(found.size))
    if found.sha256 != ref.sha256:
        raise fault(ref.path, f"is altered: its SHA-256 is {found.sha256}, the manifest says {ref.sha256}")


def wrong_size(ref: FileRef, size: str) -> IntegrityError:
    """The error that a file has another size than its manifest entry."""
    return fault(ref.path, f"has {size} bytes, the manifest says {ref.size}: it is truncated or altered")


def fault(path: str, reason: str) -> IntegrityError:
    """The error that the file at ``path`` is refused for ``reason``."""
    return IntegrityError(f"The bundle's file '{ascii(path)[1:-1]}' {reason}.", hint=HINT)
