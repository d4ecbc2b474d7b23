"""Running the ``pip`` of this Python, and telling apart why it fails."""

from __future__ import annotations

import errno
import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

from edgebert.bundle.output import FULL
from edgebert.errors import OutputError

_NO_MATCH = re.compile(r"ERROR: No matching distribution found for (.+)")
_BROKEN = re.compile(r"Retrying .* after connection broken by (.*): /")
_ERRNO = re.compile(r"^\[Errno -?\d+\] ")


class NoWheel(Exception):
    """No index has a wheel that fits. ``requirement`` is the one asked for, as ``pip`` writes it."""

    def __init__(self, requirement: str) -> None:
        super().__init__(requirement)
        self.requirement = requirement


class Pip:
    """The ``pip`` of this Python. Its own settings (``pip config``, ``PIP_*``) hold, as for indexes and constraints.

    Args:
        scratch: an existing folder for its temporary files, so that an interrupted run leaves nothing elsewhere.

    Raises:
        OutputError: this Python has no ``pip``.
    """

    def __init__(self, scratch: Path) -> None:
        if importlib.util.find_spec("pip") is None:
            raise OutputError(
                f"The Python that runs EdgeBERT ({sys.executable}) has no pip, which downloads the wheels.",
                hint="Install it: python3 -m ensurepip --upgrade",
            )
        self._scratch = scratch

    def run(self, verb: str, *arguments: str | Path) -> None:
        """Run ``pip VERB ARGUMENTS``.

        Raises:
            NoWheel: no index has a wheel for one of the requirements.
            OutputError: no index can be reached, or anything else; the message has pip's words.
            OSError: the disk is full, or takes no file of this size.
        """
        command = [sys.executable, "-m", "pip", verb, "--quiet", "--disable-pip-version-check", "--no-input"]
        done = subprocess.run(
            [*command, "--retries=1", *map(str, arguments)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            env={**os.environ, "TMPDIR": str(self._scratch)},
        )
        if done.returncode != 0:
            raise self._failure(verb, done.stderr)

    def _failure(self, verb: str, said: str) -> Exception:
        for code in (*FULL, errno.EFBIG):
            if os.strerror(code) in said:
                return OSError(code, os.strerror(code))
        if broken := _BROKEN.search(said):
            reason = _ERRNO.sub("", broken[1].rpartition(": ")[2].strip("'\")"))
            return OutputError(
                f"The wheels cannot be downloaded: pip reaches no package index ({reason}).",
                hint="Check the network and pip's settings (pip config list), then try again.",
            )
        if unmatched := _NO_MATCH.search(said):
            return NoWheel(unmatched[1].strip())
        lines = [line for line in said.splitlines() if line.strip() and not line.startswith("WARNING")] or ["no reason"]
        # A cross stands before the reason where pip explains itself at length.
        errors = [line[len(mark) :] for line in lines for mark in ("ERROR: ", "× ") if line.startswith(mark)]
        return OutputError(
            f"pip {verb} fails: {(errors[:1] or lines[-1:])[0]}",
            hint="Check pip's settings (pip config list) and the packages that it names, then try again.",
        )
