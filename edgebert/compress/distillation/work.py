"""The folder in which a training grows, and from which it goes on after it was stopped.

It holds ``run.json`` (the arguments, to be compared), ``data/`` (the tokenized texts), ``checkpoints/``, and
``times.json`` (the seconds that each run has trained).
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from safetensors import SafetensorError

from edgebert.bundle.output import output_error
from edgebert.errors import OutputError

RUN_NAME = "run.json"
_DATA_NAME = "data"
_CHECKPOINTS_NAME = "checkpoints"
_TIMES_NAME = "times.json"
_CODE = re.compile(r"os error (\d+)")
_LITTLE_BYTES = 256 << 20


class WorkFolder:
    """A work folder, locked by this process until :meth:`close`.

    Args:
        path: the folder; its parent must exist.
        arguments: what the result depends on, by name; JSON values.
        resume: whether a folder that exists is to be continued; without one, a new one is made.

    Attributes:
        path: the folder.
        data: where the tokenized texts are, or will be.
        checkpoints: where the checkpoints of the training are.
        created: whether this object has made the folder.

    Raises:
        OutputError: it exists and is not to be continued, is no work folder, is another run's, is in use, or cannot be
            written.
    """

    def __init__(self, path: Path, arguments: Mapping[str, Any], *, resume: bool) -> None:
        self.path = Path(os.path.abspath(path))  # noqa: PTH100 (not resolved, which would follow a link)
        self.data = self.path / _DATA_NAME
        self.checkpoints = self.path / _CHECKPOINTS_NAME
        self.created = not os.path.lexists(self.path)
        self._lock = -1
        try:
            if not self.created:
                self._check(arguments, resume=resume)
                self._take()
            else:
                self.path.mkdir()
                self._take()
                self._write_run(arguments)
            self.checkpoints.mkdir(exist_ok=True)
        except OSError as error:
            self.close()
            raise output_error(error, self.path) from error
        except BaseException:
            self.close()
            raise

    def new_data(self) -> Path:
        """An empty folder for the tokenized texts; :meth:`keep_data` makes it :attr:`data`."""
        folder = self.path / f"{_DATA_NAME}.new"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        return folder

    def keep_data(self) -> None:
        """Takes what is in :meth:`new_data`, which is complete."""
        (self.path / f"{_DATA_NAME}.new").rename(self.data)

    def check_space(self, needed: int) -> None:
        """Raises ``OutputError`` unless so many bytes, less those that checkpoints have already, are free."""
        held = sum(path.stat().st_size for path in self.checkpoints.rglob("*") if path.is_file())
        if shutil.disk_usage(self.path).free + held < needed:
            raise output_error(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), self.path, needed=needed)

    @contextlib.contextmanager
    def writing(self) -> Iterator[None]:
        """What libraries say when the disk is full, or cannot be written, as one ``OutputError``."""
        try:
            yield
        except OSError as error:
            raise output_error(error, self.path) from error
        except (RuntimeError, SafetensorError) as error:
            # safetensors tells the reason in words alone, torch.save tells none.
            code = _CODE.search(str(error))
            if code is None and "PytorchStreamWriter" not in str(error) and "unexpected pos" not in str(error):
                raise
            number = int(code[1]) if code else self._likely_fault()
            reason = "a checkpoint cannot be written whole" if number == errno.EIO else os.strerror(number)
            raise output_error(OSError(number, reason), self.path) from error

    def _likely_fault(self) -> int:
        return errno.ENOSPC if shutil.disk_usage(self.path).free < _LITTLE_BYTES else errno.EIO

    def times(self) -> list[float]:
        """The seconds that each run so far has trained, up to its last checkpoint."""
        try:
            return list(json.loads((self.path / _TIMES_NAME).read_text(encoding="utf-8")))
        except (OSError, ValueError):  # none yet, or somebody's hand in it; of no consequence for the weights
            return []

    def note_times(self, times: Sequence[float]) -> None:
        """Keeps what :meth:`times` gives; a kill in the middle leaves what was there before."""
        new = self.path / f"{_TIMES_NAME}.new"
        new.write_text(json.dumps(list(times)), encoding="utf-8")
        new.rename(self.path / _TIMES_NAME)

    def remove(self) -> None:
        """Removes the folder: the result is in its place."""
        shutil.rmtree(self.path, ignore_errors=True)

    def close(self) -> None:
        """Lets another process have the folder."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def _check(self, arguments: Mapping[str, Any], *, resume: bool) -> None:
        run, unfinished = self.path / RUN_NAME, f"{RUN_NAME}.new"
        if not self.path.is_dir() or not (run.is_file() or {path.name for path in self.path.iterdir()} <= {unfinished}):
            raise OutputError(
                f"'{self.path}' exists and is not the work folder of a distillation.",
                hint="Choose another (--work), or move it out of the way.",
            )
        if not run.is_file():  # killed before the first file was written
            self._write_run(arguments)
        if not resume:
            raise OutputError(
                f"'{self.path}' holds a training that was not finished.",
                hint="Continue it with --resume, or remove the folder to begin anew.",
            )
        before = self._read_run(run)
        names = [name for name in {**before, **arguments} if before.get(name) != _plain(arguments.get(name))]
        if names:
            shown = "; ".join(
                f"{name} was {_shown(before.get(name))}, is {_shown(arguments.get(name))}" for name in names
            )
            raise OutputError(
                f"'{self.path}' holds a training with other arguments: {shown}.",
                hint="Resume with the same ones, or remove the folder to begin anew.",
            )

    def _read_run(self, path: Path) -> dict[str, Any]:
        try:
            value = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise OutputError(f"'{path}' is not JSON: {error}.", hint="Remove the folder to begin anew.") from error
        return dict(value)

    def _write_run(self, arguments: Mapping[str, Any]) -> None:
        new = self.path / f"{RUN_NAME}.new"
        with new.open("w", encoding="utf-8") as file:
            json.dump(arguments, file, indent=1, ensure_ascii=False)
            file.flush()
            os.fsync(file.fileno())
        new.rename(self.path / RUN_NAME)

    def _take(self) -> None:
        self._lock = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise OutputError(
                f"'{self.path}' is in use by another process.", hint="Wait for it, or choose another folder (--work)."
            ) from None


def _plain(value: Any) -> Any:  # noqa: ANN401 (any JSON value)
    """The value as it comes back from a file."""
    return json.loads(json.dumps(value))


def _shown(value: Any) -> str:  # noqa: ANN401 (any JSON value)
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 100 else f"{text[:100]}..."
