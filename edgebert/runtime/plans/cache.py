"""The plans that this user has built on this device: one file each, named by the digest of its key."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from edgebert.bundle.output import output_error
from edgebert.bundle.rename import sync_folder
from edgebert.bundle.staging import Staging, recover
from edgebert.errors import ManifestError
from edgebert.runtime.plans.folder import cache_folder, make_private
from edgebert.runtime.plans.found import Entry, Fault, Found, Refusal
from edgebert.runtime.plans.header import MAX_HEADER_BYTES, Header, dump_header, header_of, parse_header
from edgebert.runtime.plans.key import PlanKey
from edgebert.runtime.user_cache import why_foreign

_SUFFIX = ".plan"
_PARTIAL = re.compile(r"\.([0-9a-f]{64}\.plan)\.[0-9]{1,10}\.[a-z0-9_]{8}\.partial")
# Not blocking: a FIFO in the place of a plan must not hang the reader.
_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_HERE = frozenset({"gpu", "compute_capability", "system", "architecture"})
"""The parts of a key that no update of this device changes."""


class _Refused(Exception):
    """Stops reading a file; the argument is the refusal."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(str(refusal))
        self.refusal = refusal


class PlanCache:
    """A folder of plans. Any number of processes may use it at once.

    Args:
        folder: by default :func:`edgebert.runtime.plans.cache_folder`. It is made when the first plan is stored.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = cache_folder() if folder is None else folder

    def find(self, key: PlanKey) -> Found:
        """The plan for exactly this key, whole and written by nobody else; never raises.

        Where there is none, ``refusals`` names what lies in its place, and the plans of the same artifact that were
        built for something else. Those are not read beyond their first line.
        """
        refusal = self._foreign_folder()
        if refusal is not None:
            return Found(None, (refusal,))
        path = self._path(key)
        try:
            return Found(_read_plan(path))
        except FileNotFoundError:
            refusals: list[Refusal] = []
        except _Refused as refused:
            refusals = [refused.refusal]
        return Found(None, (*refusals, *self.others(key)))

    def others(self, key: PlanKey) -> list[Refusal]:
        """The plans of the same artifact that were built for something else, and why each is not for this key."""
        return [
            _other(entry.path, entry.key, key)
            for entry in self.entries()
            if entry.key is not None and entry.key.artifact == key.artifact and entry.key != key
        ]

    def store(self, key: PlanKey, plan: bytes) -> Path:
        """Writes a plan for its owner alone, in one step: it is there whole or not at all; an older one is replaced.

        When two processes store the same key, the later plan stays, and a reader gets either whole.

        Returns:
            The file.

        Raises:
            OutputError: the disk is full, permission is missing, or others may write to the folder.
            ManifestError: a part of the key is nothing that could be read again, such as an empty version.
        """
        header = dump_header(header_of(key, plan))
        make_private(self.folder)
        path = self._path(key)
        try:
            self._clear_up()
            staging = Staging(path)
            try:
                _write(staging.new / path.name, header, plan)
                (staging.new / path.name).replace(path)
                sync_folder(self.folder)
            finally:
                staging.close()
        except OSError as error:
            raise output_error(error, path, needed=len(header) + len(plan)) from error
        return path

    @contextlib.contextmanager
    def building(self) -> Iterator[None]:
        """Waits until no other process, and no other thread, is in this block for the same folder.

        Builders take each other's memory and spoil each other's timings, by which TensorRT chooses kernels. The second
        one finds the plan when its turn comes, so look for it inside the block. The lock ends with the process, however
        that ends. On a file system without locks both build, and :meth:`store` stays safe. The block is not entered
        twice by one thread: it would wait for itself.

        Raises:
            OutputError: the folder cannot be made, or others may write to it.
        """
        make_private(self.folder)
        try:
            descriptor = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise output_error(error, self.folder) from error
        try:
            with contextlib.suppress(OSError):
                fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def entries(self) -> list[Entry]:
        """Every plan in the folder, by name; from their first lines and sizes alone, so that none is hashed.

        A folder that is missing, unreadable, or open to others has none.
        """
        return [] if self._foreign_folder() is not None else list(self._entries())

    def remove(self, entry: Entry) -> None:
        """Removes a plan; one that is gone already is no error.

        Raises:
            OutputError: it cannot be removed.
        """
        try:
            (self.folder / entry.path.name).unlink(missing_ok=True)
        except OSError as error:
            raise output_error(error, entry.path) from error

    def _path(self, key: PlanKey) -> Path:
        return self.folder / f"{key.digest()}{_SUFFIX}"

    def _foreign_folder(self) -> Refusal | None:
        try:
            reason = why_foreign(self.folder.stat())
        except FileNotFoundError:
            return None
        except OSError as error:
            reason = f"it cannot be read ({error.strerror})"
        return None if reason is None else Refusal(self.folder, Fault.FOREIGN, reason)

    def _entries(self) -> Iterator[Entry]:
        try:
            names = sorted(name for name in os.listdir(self.folder) if name.endswith(_SUFFIX))  # noqa: PTH208
        except OSError:
            return
        for path in (self.folder / name for name in names):
            size = 0
            try:
                size = path.lstat().st_size
                with _opened(path) as (_, header):
                    yield Entry(path, size, header.key, None)
            except FileNotFoundError:  # removed meanwhile
                continue
            except _Refused as refused:
                yield Entry(path, size, None, refused.refusal)

    def _clear_up(self) -> None:
        # What writers left that were killed.
        for name in os.listdir(self.folder):  # noqa: PTH208
            match = _PARTIAL.fullmatch(name)
            if match is not None:
                recover(self.folder / match[1])


def _write(path: Path, header: bytes, plan: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(header)
        file.write(plan)
        file.flush()
        os.fsync(descriptor)


def _read_plan(path: Path) -> bytes:
    with _opened(path) as (file, header):
        plan = file.read(header.size)
        if len(plan) != header.size or hashlib.sha256(plan).hexdigest() != header.sha256:
            raise _Refused(Refusal(path, Fault.CORRUPTED, "its content has not the SHA-256 that its header says"))
        return plan


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[tuple[BinaryIO, Header]]:
    """The file of a plan, after its header, when owner, mode, header and size are as they should be.

    Raises:
        FileNotFoundError: there is none.
        _Refused: the file is not to be used.
    """
    try:
        with open(path, "rb", opener=lambda name, _: os.open(name, _FLAGS)) as file:
            yield file, _checked_header(path, file)
    except FileNotFoundError:
        raise
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise _Refused(Refusal(path, Fault.FOREIGN, "it is a symbolic link")) from error
        fault = Fault.FOREIGN if isinstance(error, PermissionError) else Fault.CORRUPTED
        raise _Refused(Refusal(path, fault, f"it cannot be read ({error.strerror})")) from error


def _checked_header(path: Path, file: BinaryIO) -> Header:
    status = os.fstat(file.fileno())
    reason = why_foreign(status) if stat.S_ISREG(status.st_mode) else "it is not a plain file"
    if reason is not None:
        raise _Refused(Refusal(path, Fault.FOREIGN, reason))
    line = file.readline(MAX_HEADER_BYTES + 1)
    try:
        header = parse_header(line)
    except ManifestError as error:
        raise _Refused(Refusal(path, Fault.CORRUPTED, error.message.rstrip("."))) from None
    if status.st_size != len(line) + header.size:
        sizes = f"it has {status.st_size} bytes, its header says {len(line) + header.size}"
        raise _Refused(Refusal(path, Fault.CORRUPTED, sizes))
    if path.name != f"{header.key.digest()}{_SUFFIX}":
        raise _Refused(Refusal(path, Fault.FOREIGN, "its name is not that of its key: it was put there by hand"))
    return header


def _other(path: Path, built: PlanKey, key: PlanKey) -> Refusal:
    names = built.differences(key)
    said = [f"{name} was {getattr(built, name)!a} and is {getattr(key, name)!a}" for name in names]
    return Refusal(path, Fault.FOREIGN if _HERE.intersection(names) else Fault.STALE, "; ".join(said))
