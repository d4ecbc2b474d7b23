"""Moving a finished folder into its place in one step."""

from __future__ import annotations

import errno
import os
from pathlib import Path

_AT_FDCWD = -100
_RENAME_NOREPLACE = 1
_RENAME_EXCHANGE = 2


def move(source: Path, target: Path) -> None:
    """Renames ``source`` to ``target``, which must not exist.

    Raises:
        FileExistsError: ``target`` exists. A kernel without ``renameat2`` may miss a target that appears meanwhile,
            and then still replaces nothing but an empty folder.
        OSError: the rename failed.
    """
    if _renameat2(source, target, _RENAME_NOREPLACE):
        return
    if os.path.lexists(target):
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target))
    source.rename(target)


def exchange(one: Path, other: Path) -> bool:
    """Swaps two folders atomically.

    Returns:
        False where the kernel, the C library or the file system cannot; nothing has changed then.

    Raises:
        OSError: the exchange failed.
    """
    return _renameat2(one, other, _RENAME_EXCHANGE)


def sync_folder(path: Path) -> None:
    """Makes the entries of a folder durable, where the file system can.

    Raises:
        OSError: the disk failed.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    except OSError as error:
        # Some network and FUSE file systems know no fsync of folders.
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        os.close(descriptor)


def _renameat2(source: Path, target: Path, flag: int) -> bool:
    # Imported here: devices that only read bundles need no ctypes, and some small Pythons have none.
    try:
        import ctypes

        function = ctypes.CDLL(None, use_errno=True).renameat2
    except (ImportError, AttributeError, OSError):
        return False
    function.argtypes = (ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_uint)
    if function(_AT_FDCWD, os.fsencode(source), _AT_FDCWD, os.fsencode(target), flag) == 0:
        return True
    code = ctypes.get_errno()
    if code in (errno.ENOSYS, errno.EINVAL, errno.ENOTSUP):
        return False
    raise OSError(code, os.strerror(code), str(source), None, str(target))
