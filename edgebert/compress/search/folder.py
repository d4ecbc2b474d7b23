"""The folder of a search: locked while it runs, with a record of what is finished, from which it goes on."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from edgebert.bundle.output import output_error
from edgebert.errors import OutputError

RECORD_NAME = "search.json"
FORMAT = "edgebert-search/1"


@dataclass(slots=True)
class Progressed:
    """How far a point is.

    Attributes:
        make: the arguments of the command that makes its checkpoint, once it was begun; a training is continued with
            these.
        steps: of its training, once they are chosen.
        made: whether its checkpoint is there.
        converted: whether it was converted, whatever the gate said.
        failed: why it could not be made, or an empty string.
        seconds: what all its commands took.
    """

    make: list[str] = field(default_factory=list)
    steps: int | None = None
    made: bool = False
    converted: bool = False
    failed: str = ""
    seconds: float = 0.0


@dataclass(slots=True)
class Record:
    """What a search knows after each of its commands.

    Attributes:
        spent: seconds.
        points: by name.
        times: measured seconds: ``convert``, ``bench`` (a point, once), ``make`` (without training), ``fixed`` and
            ``step`` (of a training), as far as they are known.
        step_cost: what :func:`edgebert.compress.search.grid.step_cost` gives for the step of ``times``.
        examples: how many there are to train on; 0 when it is not known yet.
        unmeasurable: why latency cannot be measured on this machine, or an empty string.
    """

    spent: float = 0.0
    points: dict[str, Progressed] = field(default_factory=dict)
    times: dict[str, float] = field(default_factory=dict)
    step_cost: float = 0.0
    examples: int = 0
    unmeasurable: str = ""

    def point(self, name: str) -> Progressed:
        """How far a point is."""
        return self.points.setdefault(name, Progressed())


class SearchFolder:
    """The folder, locked by this process, and by those that it starts, until :meth:`close`.

    Args:
        path: the folder; its parent must exist.
        arguments: what the result depends on, by name; JSON values.
        resume: whether a folder that exists is to be continued; without one, a new one is made.

    Attributes:
        path: the folder, absolute.
        record: what is known; :meth:`save` keeps it.
        created: whether this object has made the folder.
        lock: the descriptor that holds the lock.

    Raises:
        OutputError: it exists and is not to be continued, is not of a search, is another search's, is in use, or
            cannot be written.
    """

    def __init__(self, path: Path, arguments: Mapping[str, Any], *, resume: bool) -> None:
        self.path = Path(os.path.abspath(path))  # noqa: PTH100 (not resolved, which would follow a link)
        self.created = not os.path.lexists(self.path)
        self.record = Record()
        self.lock = -1
        self._arguments = json.loads(json.dumps(arguments))
        try:
            if self.created:
                self.path.mkdir()
                self._take()
                self.save()
            else:
                self._check(resume=resume)
                self._take()
                self.record = self._read()
        except OSError as error:
            self.close()
            raise output_error(error, self.path) from error
        except BaseException:
            self.close()
            raise

    def save(self) -> None:
        """Keeps the record; a kill in the middle leaves the one before.

        Raises:
            OutputError: the disk is full, or fails.
        """
        whole = {"format": FORMAT, "arguments": self._arguments, **asdict(self.record)}
        # ASCII: names of files may hold bytes that are not UTF-8.
        self.write(RECORD_NAME, (json.dumps(whole, indent=1) + "\n").encode())

    def write(self, name: str, content: bytes) -> None:
        """Writes a file whole, or not at all.

        Raises:
            OutputError: the disk is full, or fails.
        """
        new = self.path / f".{name}.new"
        try:
            with new.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            new.rename(self.path / name)
        except OSError as error:
            new.unlink(missing_ok=True)
            raise output_error(error, self.path / name, needed=len(content)) from error

    def remove(self) -> None:
        """Removes the folder with everything in it."""
        shutil.rmtree(self.path, ignore_errors=True)

    def close(self) -> None:
        """Lets another process have the folder."""
        if self.lock >= 0:
            os.close(self.lock)
            self.lock = -1

    def _check(self, *, resume: bool) -> None:
        if not (self.path / RECORD_NAME).is_file():
            raise OutputError(
                f"'{self.path}' exists and is not the folder of a search.",
                hint="Choose another, or move it out of the way.",
            )
        before = self._parsed().get("arguments")
        if not resume:
            raise OutputError(
                f"'{self.path}' holds a search already.",
                hint="Go on with it with --resume, choose another folder, or remove it to begin anew.",
            )
        if before != self._arguments:
            names = {**(before if isinstance(before, dict) else {}), **self._arguments}
            changed = [name for name in names if not isinstance(before, dict) or before.get(name) != names[name]]
            raise OutputError(
                f"'{self.path}' holds a search with another {', '.join(changed) or 'set of arguments'}.",
                hint="Resume with the same, or choose another folder.",
            )

    def _read(self) -> Record:
        value = self._parsed()
        try:
            value = {name: value[name] for name in Record.__slots__}
            points = {name: Progressed(**entry) for name, entry in value.pop("points").items()}
            return Record(points=points, **value)
        except (KeyError, TypeError, AttributeError) as error:
            raise self._broken(f"lacks or misnames an entry ({error})") from error

    def _parsed(self) -> dict[str, Any]:
        try:
            value = json.loads((self.path / RECORD_NAME).read_text(encoding="utf-8"))
        except ValueError as error:
            raise self._broken(f"is not JSON ({error})") from error
        if not isinstance(value, dict) or value.get("format") != FORMAT:
            raise self._broken(f"is not of the format {FORMAT}")
        return value

    def _broken(self, reason: str) -> OutputError:
        return OutputError(
            f"'{self.path / RECORD_NAME}' {reason}.", hint="Choose another folder, or remove this one to begin anew."
        )

    def _take(self) -> None:
        self.lock = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(self.lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise OutputError(
                f"'{self.path}' is in use by another process.",
                hint="Wait for it (what a killed search has started may still run), or choose another folder.",
            ) from None
