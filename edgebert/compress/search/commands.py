"""Running ``edgebert`` in a process of its own, as a user would, until it ends or the time is over."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from edgebert.devices.processes import describe_exit

_ERROR = re.compile(r"^(?:Internal error|Error): (.*?)(?:^Hint: |\Z)", re.MULTILINE | re.DOTALL)
_ROOT = Path(__file__).parents[3]
_GRACE_SECONDS = 15.0
"""What a command has to clean up after itself, before it is killed."""


@dataclass(frozen=True, slots=True)
class Finished:
    """How a command ended: its exit code (negative for a signal), what it printed, and the seconds that it took."""

    code: int
    out: str
    err: str
    seconds: float

    @property
    def reason(self) -> str:
        """Why it failed, in one line: the message of its error, without the hint."""
        said = _ERROR.search(self.err)
        return " ".join(said[1].split()) if said else describe_exit(self.code)

    @property
    def hint(self) -> str:
        """The hint of its error, or an empty string."""
        return " ".join(self.err.rpartition("\nHint: ")[2].split()) if "\nHint: " in self.err else ""


class OutOfTime(Exception):
    """A command was stopped, since it took longer than it may."""


class Runner(Protocol):
    """Runs ``edgebert ARGUMENTS`` in the folder of the search."""

    def __call__(self, arguments: Sequence[str], *, timeout: float) -> Finished:
        """Runs to the end, or for ``timeout`` seconds.

        Raises:
            OutOfTime: it was stopped.
        """
        ...


class Processes:
    """Runs each command as ``python -m edgebert`` in a process and a session of its own.

    A Ctrl-C of the terminal therefore reaches the search alone, which then stops the command once.

    Args:
        folder: where they run.
        lock: a descriptor that they inherit: what it locks is locked until the last of them has ended, even if the
            search itself is killed.
    """

    def __init__(self, folder: Path, lock: int) -> None:
        self._folder = folder
        self._lock = lock

    def __call__(self, arguments: Sequence[str], *, timeout: float) -> Finished:
        """See :class:`Runner`."""
        # The same edgebert as this one, wherever it was imported from.
        path = os.pathsep.join([str(_ROOT), *filter(None, [os.environ.get("PYTHONPATH", "")])])
        began = time.monotonic()
        process = subprocess.Popen(
            [sys.executable, "-m", "edgebert", *arguments],
            cwd=self._folder,
            env={**os.environ, "PYTHONPATH": path},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
            pass_fds=[self._lock],
        )
        try:
            out, err = process.communicate(timeout=max(timeout, 0.01))
        except subprocess.TimeoutExpired:
            raise OutOfTime from None
        finally:
            _stop(process)
        return Finished(
            process.returncode, out.decode("utf-8", "replace"), err.decode("utf-8", "replace"), time.monotonic() - began
        )


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Ends the command and what it has started, if it has not ended; it may clean up."""
    if process.poll() is not None:
        return
    try:
        os.killpg(process.pid, signal.SIGINT)
        process.communicate(timeout=_GRACE_SECONDS)
    except subprocess.TimeoutExpired:
        pass
    finally:
        if process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
