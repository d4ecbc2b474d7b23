"""The temporary folder beside an output in which it is built.

``.NAME.PID.RANDOM.partial/`` holds ``new/``, the output in the making, and for an instant ``old/``, a replaced output
on file systems that cannot swap two folders. Its owner holds a lock on it, which ends with the process however that
ends, so that a later run can tell a crashed owner's folder from a living one's.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import shutil
import tempfile
from pathlib import Path

from edgebert.bundle.interrupt import hold_interrupt


class Staging:
    """One temporary folder, locked by this process until ``close``."""

    def __init__(self, out: Path) -> None:
        """Makes the folder beside ``out``. Raises ``OSError`` where that cannot be done."""
        self.out = out
        self.root = Path(tempfile.mkdtemp(prefix=f".{out.name}.{os.getpid()}.", suffix=".partial", dir=out.parent))
        self.new = self.root / "new"
        self.old = self.root / "old"
        self._lock = -1
        try:
            # Where the file system has no locks, `recover` cannot take one either and leaves the folder alone.
            with contextlib.suppress(OSError):
                self._lock = _lock(self.root)
            # mkdtemp makes a private folder; what becomes the output gets the user's usual permissions.
            self.new.mkdir()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Removes the folder, after giving a replaced output back whose replacement did not arrive."""
        with hold_interrupt():
            _discard(self.root, self.out)
            if self._lock >= 0:
                os.close(self._lock)
                self._lock = -1


def recover(out: Path) -> None:
    """Clears up after runs for the same output whose process has died, and restores the output if they had moved it.

    Raises:
        OSError: the folder of ``out`` cannot be read.
    """
    name = re.compile(rf"\.{re.escape(out.name)}\.([0-9]{{1,10}})\.[a-z0-9_]{{8}}\.partial")
    for entry in list(os.scandir(out.parent)):
        match = name.fullmatch(entry.name)
        if match is None or not entry.is_dir(follow_symlinks=False) or _alive(int(match[1])):
            continue
        # The pid may be one of another container on the same disk; the lock tells.
        with contextlib.suppress(OSError):
            lock = _lock(Path(entry.path))
            try:
                _discard(Path(entry.path), out)
            finally:
                os.close(lock)


def _discard(root: Path, out: Path) -> None:
    if (root / "old").is_dir() and not os.path.lexists(out):
        (root / "old").rename(out)
    # What cannot be removed now (a busy network file system) is removed by the next run's `recover`.
    shutil.rmtree(root, ignore_errors=True)


def _lock(folder: Path) -> int:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True
