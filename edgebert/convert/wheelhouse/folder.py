"""A new folder that appears whole or not at all."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from edgebert.bundle.output import output_error
from edgebert.bundle.rename import move, sync_folder
from edgebert.bundle.staging import Staging, recover
from edgebert.errors import OutputError


@contextlib.contextmanager
def new_folder(out: Path) -> Iterator[tuple[Path, Path, Callable[[], None]]]:
    """Fill a folder beside ``out``, then move it there.

    Yields:
        The folder to fill, a folder for temporary files, and the function that moves the first to ``out``. Left
        without its call, by whatever exception, nothing is left behind.

    Raises:
        OutputError: ``out`` exists, its parent does not, or the disk fails or is full.
    """
    # Absolute, should the working directory change; not resolved, which would follow a link at `out` itself.
    out = Path(os.path.abspath(out))  # noqa: PTH100
    try:
        if os.path.lexists(out):
            raise _exists(out)
        recover(out)
        staging = Staging(out)
    except OSError as error:
        raise output_error(error, out) from error

    def publish() -> None:
        for file in staging.new.iterdir():
            descriptor = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        sync_folder(staging.new)
        move(staging.new, out)
        sync_folder(out.parent)

    try:
        scratch = staging.root / "scratch"
        scratch.mkdir()
        yield staging.new, scratch, publish
    except FileExistsError as error:
        raise _exists(out) from error
    except OSError as error:
        elsewhere = isinstance(error.filename, str) and not Path(error.filename).is_relative_to(staging.root)
        raise output_error(error, error.filename if elsewhere else out) from error
    finally:
        staging.close()


def _exists(out: Path) -> OutputError:
    return OutputError(f"'{out}' exists already.", hint="Choose another folder, or remove it first.")
