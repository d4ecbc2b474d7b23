"""Where rankings are kept: a file each in the user's cache, named by the bundle's name, its digest, and the key.

Loading looks here, so that nothing beyond this module is imported before there is a file with the bundle's name. A
ranking is no code, but it decides what runs: only a file is read that nobody but its reader can have written.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edgebert.bundle import Bundle
from edgebert.devices import Machine, Runtime
from edgebert.errors import ManifestError, OutputError
from edgebert.runtime.user_cache import user_cache, why_foreign

if TYPE_CHECKING:
    from edgebert.runtime.ranking import Ranking
    from edgebert.runtime.ranking_key import RankingKey

_NAME = re.compile(r"[0-9a-f]{16}-[0-9a-f]{16}-[0-9a-f]{32}\.json")
# Not blocking: a FIFO in the place of a ranking must not hang the reader.
_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


@dataclass(frozen=True, slots=True)
class Found:
    """What looking for a ranking gives.

    Attributes:
        ranking: the ranking for exactly this bundle, device and software; ``None`` where there is none.
        stale: of the newest ranking of a bundle with this name that is for something else, what that is; else empty.
        fault: why the file of the ranking cannot be used; else empty.
    """

    ranking: Ranking | None = None
    stale: str = ""
    fault: str = ""


class _Faulty(Exception):
    """Stops reading a file; the argument says why."""


def ranking_folder() -> Path | None:
    """``edgebert/tuning`` in the user's cache; ``None`` where the user has no home."""
    cache = user_cache()
    return None if cache is None else cache / "tuning"


def find_ranking(bundle: Bundle, machine: Machine, runtimes: Sequence[Runtime]) -> Found:
    """The ranking of a bundle that was measured here; never raises.

    Args:
        bundle: the bundle; of a cascade the one in front.
        machine: the machine to run on.
        runtimes: the known backends, usable or not.
    """
    folder = ranking_folder()
    names = [] if folder is None else _names(folder, f"{_short(bundle.manifest.name)}-")
    if folder is None or not names:
        return Found()
    from edgebert.runtime.ranking_key import key_of  # few loads have a ranking to read

    key = key_of(bundle, machine, runtimes)
    own = _file_name(bundle, key.digest())
    if own not in names:
        return Found(stale=_stale(folder, names, key))
    try:
        return Found(_read(folder, own, bundle))
    except _Faulty as faulty:
        return Found(fault=f"{str(folder / own)!a}: {faulty}")


def store_ranking(bundle: Bundle, ranking: Ranking) -> Path:
    """Writes a ranking for its owner alone, in one step; an older one for the same key is replaced.

    Returns:
        The file.

    Raises:
        OutputError: the disk is full, permission is missing, or others may write to the folder.
        ManifestError: a part of the ranking is nothing that could be read again.
    """
    from edgebert.bundle.output import output_error
    from edgebert.bundle.rename import sync_folder
    from edgebert.bundle.staging import Staging, recover
    from edgebert.runtime.ranking import dump_ranking

    data = dump_ranking(ranking)
    path = make_ranking_folder() / _file_name(bundle, ranking.key.digest())
    try:
        recover(path)
        staging = Staging(path)
        try:
            _write(staging.new / path.name, data)
            (staging.new / path.name).replace(path)
            sync_folder(path.parent)
        finally:
            staging.close()
    except OSError as error:
        raise output_error(error, path, needed=len(data)) from error
    return path


def make_ranking_folder() -> Path:
    """Makes the folder, for its owner alone, where it is missing.

    Raises:
        OutputError: it cannot be made, or others may write to it.
    """
    from edgebert.bundle.output import output_error

    elsewhere = "Or let XDG_CACHE_HOME name a folder of your own."
    folder = ranking_folder()
    if folder is None:
        raise OutputError("There is no folder to keep a ranking in: this user has no home.", hint=elsewhere)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        folder.mkdir(mode=0o700, exist_ok=True)
        reason = why_foreign(folder.stat())
        if reason is None and not os.access(folder, os.W_OK | os.X_OK):
            reason = "this process may not write to it"
    except OSError as error:
        failure = output_error(error, folder)
        raise OutputError(failure.message, hint=f"{failure.hint} {elsewhere}") from error
    if reason is not None:
        raise OutputError(
            f"No ranking is kept in '{folder}': {reason}.",
            hint=f"Make the folder yours alone (chown, chmod u+rwx,go-w). {elsewhere}",
        )
    return folder


def forget_rankings(bundle: Bundle) -> int:
    """Removes what was measured of a bundle, with whatever versions; returns how many rankings that were.

    Raises:
        OutputError: one cannot be removed.
    """
    from edgebert.bundle.output import output_error

    folder = ranking_folder()
    names = [] if folder is None else _names(folder, f"{_short(bundle.manifest.name)}-{bundle.digest[:16]}-")
    for name in names:
        assert folder is not None
        try:
            (folder / name).unlink(missing_ok=True)
        except OSError as error:
            raise output_error(error, folder / name) from error
    return len(names)


def _names(folder: Path, start: str) -> list[str]:
    try:
        # A folder that this process may not read is as good as none: it is often that of another user.
        return sorted(name for name in os.listdir(folder) if name.startswith(start) and _NAME.fullmatch(name))  # noqa: PTH208
    except OSError:
        return []


def _short(name: str) -> str:
    return hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def _file_name(bundle: Bundle, key_digest: str) -> str:
    return f"{_short(bundle.manifest.name)}-{bundle.digest[:16]}-{key_digest[:32]}.json"


def _stale(folder: Path, names: Sequence[str], key: RankingKey) -> str:
    """What the newest of these rankings is for, none of which has this key; empty where it cannot be read."""
    times = {}
    for name in names:
        with contextlib.suppress(OSError):  # removed meanwhile
            times[name] = (folder / name).lstat().st_mtime_ns
    if not times:
        return ""
    try:
        other = _read(folder, max(times, key=times.__getitem__), None)
    except _Faulty:  # it would not be used anyway
        return ""
    return f"that of {other.created[:10]} for {other.objective} is not used: {'; '.join(other.key.differences(key))}"


def _write(path: Path, data: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(descriptor)


def _read(folder: Path, name: str, bundle: Bundle | None) -> Ranking:
    """The ranking in a file; with ``bundle`` it must be one of its artifacts."""
    from edgebert.runtime.ranking import MAX_BYTES, fits, parse_ranking

    try:
        foreign = why_foreign(folder.stat())
        if foreign is not None:
            raise _Faulty(f"the folder is not this user's alone: {foreign}")
        with open(folder / name, "rb", opener=lambda path, _: os.open(path, _FLAGS)) as file:
            status = os.fstat(file.fileno())
            reason = why_foreign(status) if stat.S_ISREG(status.st_mode) else "it is not a plain file"
            if reason is not None:
                raise _Faulty(reason)
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise _Faulty(f"it cannot be read ({error.strerror})") from error
    try:
        ranking = parse_ranking(data)
    except ManifestError as error:
        raise _Faulty(error.message.rstrip(".")) from None
    if not name.endswith(f"-{ranking.key.digest()[:32]}.json"):
        raise _Faulty("its name is not that of its key: it was put there by hand")
    if bundle is not None and not fits(ranking, bundle.manifest):
        raise _Faulty("it names artifacts or buckets that the bundle has not")
    return ranking
