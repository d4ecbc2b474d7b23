"""Where plans are kept, and whether somebody else could have put something there.

A plan is code: TensorRT runs what it holds. So only a file is read that nobody but its reader can have written.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from edgebert.bundle.output import output_error
from edgebert.errors import OutputError

VARIABLE = "EDGEBERT_PLAN_CACHE"
_ELSEWHERE = f"Or let {VARIABLE} name a folder of your own."


def cache_folder() -> Path:
    """The folder that ``EDGEBERT_PLAN_CACHE`` names, else ``edgebert/plans`` in the user's cache.

    That is ``XDG_CACHE_HOME``, where it is an absolute path (as the XDG base directory specification wants), else
    ``~/.cache``.

    Raises:
        OutputError: the user has no home.
    """
    own = os.environ.get(VARIABLE)
    if own:
        return Path(os.path.abspath(own))  # noqa: PTH100 - a link is the user's to put there
    shared = Path(os.environ.get("XDG_CACHE_HOME", ""))
    if not shared.is_absolute():
        try:
            shared = Path.home() / ".cache"
        except RuntimeError as error:
            raise OutputError(
                f"There is no folder to keep plans in: {error}", hint=f"Let {VARIABLE} name a folder of your own."
            ) from error
    return shared / "edgebert" / "plans"


def why_foreign(status: os.stat_result) -> str | None:
    """Why somebody else may have written a file or folder, or ``None`` when nobody else can have."""
    if status.st_uid != os.geteuid():
        return f"it belongs to the user {status.st_uid}, and this process is the user {os.geteuid()}"
    if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        return f"others may write to it (mode {stat.S_IMODE(status.st_mode):04o})"
    return None


def make_private(folder: Path) -> None:
    """Makes the folder, for its owner alone, where it is missing.

    Raises:
        OutputError: it cannot be made, or others may write to it.
    """
    try:
        if not folder.is_dir():
            folder.parent.mkdir(parents=True, exist_ok=True)
            folder.mkdir(mode=0o700, exist_ok=True)
        reason = why_foreign(folder.stat())
    except OSError as error:
        failure = output_error(error, folder)
        raise OutputError(failure.message, hint=f"{failure.hint} {_ELSEWHERE}") from error
    if reason is not None:
        raise OutputError(
            f"No plan is kept in '{folder}': {reason}.",
            hint=f"A plan is code: make the folder yours alone (chown, chmod go-w). {_ELSEWHERE}",
        )
