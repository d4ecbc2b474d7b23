"""The command as a user runs it: what it prints, and what it exits with."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

_PROGRESS = re.compile(r"\[ *\d+ s\] ")
# What C++ code prints of itself, which no Python code can keep off the descriptor.
_CHATTER = re.compile(r"INFO: Created TensorFlow Lite XNNPACK delegate for CPU\.")


@dataclass(frozen=True)
class Result:
    code: int
    out: str
    err: str

    @property
    def progress(self) -> list[str]:
        """The progress lines on standard error, without their times."""
        return [_PROGRESS.sub("", line) for line in self.err.splitlines() if _PROGRESS.match(line)]

    @property
    def messages(self) -> str:
        """Everything else on standard error."""
        lines = [line for line in self.err.splitlines() if not _PROGRESS.match(line) and not _CHATTER.match(line)]
        return "\n".join(lines)

    def refusal(self, code: int = 1) -> str:
        """The one error and its hint, which are all that a refusal may say."""
        assert self.code == code, self
        messages = self.messages.split("\n")
        assert messages[0].startswith("Error: "), self
        assert [line for line in messages[1:] if line.startswith(("Error", "Warning", "Internal", "Traceback"))] == []
        hints = [number for number, line in enumerate(messages) if line.startswith("Hint: ")]
        assert hints == [len(messages) - 1], self
        return self.messages

    def usage_error(self) -> str:
        """Why the usage was wrong: click shows the usage line, and where to find help."""
        assert self.code == 2, self
        assert self.out == ""
        assert self.messages.startswith("Usage: edgebert")
        assert self.messages.count("Error: ") == 1
        assert "Traceback" not in self.messages
        return self.messages.partition("Error: ")[2]


def start(*args: str | bytes | Path, cwd: Path, **options: object) -> subprocess.Popen[bytes]:
    """``edgebert`` in a process, and a process group, of its own."""
    command = [sys.executable, "-m", "edgebert", *args]
    return subprocess.Popen(command, cwd=cwd, start_new_session=True, **options)  # type: ignore[call-overload]


def run(*args: str | bytes | Path, cwd: Path, stdin: bytes = b"", env: dict[str, str] | None = None) -> Result:
    """Run ``edgebert`` to its end."""
    pipe = subprocess.PIPE
    process = start(*args, cwd=cwd, stdin=pipe, stdout=pipe, stderr=pipe, env={**os.environ, **(env or {})})
    out, err = process.communicate(stdin)
    return Result(process.returncode, out.decode(), err.decode())
