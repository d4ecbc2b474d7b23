"""Commands in processes of their own."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="`edgebert compress` needs it")

from edgebert.compress.search.commands import Finished, OutOfTime, Processes


@pytest.fixture
def lock(tmp_path: Path) -> int:
    descriptor = os.open(tmp_path, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    return descriptor


def test_a_command_that_ends(tmp_path: Path, lock: int) -> None:
    done = Processes(tmp_path, lock)(["targets", "x86-cpu"], timeout=60)
    assert done.code == 0 and "x86-cpu" in done.out and done.seconds > 0
    done = Processes(tmp_path, lock)(["inspect", "none.edgebert"], timeout=60)
    assert done.code == 1 and "none.edgebert" in done.reason and "Error" not in done.reason and done.hint


def test_a_command_that_takes_too_long(tmp_path: Path, lock: int) -> None:
    with pytest.raises(OutOfTime):
        Processes(tmp_path, lock)(["targets"], timeout=0.01)
    # It is over: nothing holds the lock any more but this process.
    os.close(lock)
    again = os.open(tmp_path, os.O_RDONLY)
    fcntl.flock(again, fcntl.LOCK_EX | fcntl.LOCK_NB)
    os.close(again)


@pytest.mark.parametrize(
    ("code", "err", "reason", "hint"),
    [
        (1, "[ 1 s] x\nError: a: b.\n  more\n\nHint: do c.\n", "a: b. more", "do c."),
        (70, "Internal error: KeyError: 'x'\nHint: Report it.\n", "KeyError: 'x'", "Report it."),
        (-9, "", "the process was killed by SIGKILL; the system does this when memory runs out", ""),
        (2, "", "the process ended with exit status 2", ""),
    ],
)
def test_why_a_command_failed(code: int, err: str, reason: str, hint: str) -> None:
    done = Finished(code, "", err, 1.0)
    assert (done.reason, done.hint) == (reason, hint)
