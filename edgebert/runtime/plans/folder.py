"""Where plans are kept, and whether somebody else could have put something there.

A plan is code: TensorRT runs what it holds. So only a file is read that nobody but its reader can have written.
"""

from __future__ import annotations

import os
from pathlib import Path

from edgebert.bundle.output import output_error
from edgebert.errors import OutputError
from edgebert.runtime.user_cache import user_cache, why_foreign

VARIABLE = "EDGEBERT_PLAN_CACHE"
_ELSEWHERE = f"Or let {VARIABLE} name a folder of your own."


def cache_folder() -> Path:
    """The folder that ``EDGEBERT_PLAN_CACHE`` names, else ``plans`` in :func:`~edgebert.runtime.user_cache.user_cache`.

    Raises:
        OutputError: the user has no home.
    """
    own = os.environ.get(VARIABLE)
    if own:
        return Path(os.path.abspath(own))  # noqa: PTH100 - a link is the user's to put there
    cache = user_cache()
    if cache is None:
        raise OutputError(
            "There is no folder to keep plans in: this user has no home.",
            hint=f"Let {VARIABLE} name a folder of your own.",
        )
    return cache / "plans"


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
