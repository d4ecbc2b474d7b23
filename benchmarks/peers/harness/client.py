"""The outside of a worker: start it, ask it, stop it while others work."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import tempfile
from pathlib import Path
from time import perf_counter
from typing import Any

from edgebert.devices.processes import describe_exit
from edgebert.errors import BackendError
from harness.files import HERE


class Worker:
    """One process of ``worker.py``, or of another program with its protocol.

    Args:
        name: of the peer, for messages.
        command: how to start it.
        environment: all of its variables.
    """

    def __init__(self, name: str, command: list[str], environment: dict[str, str]) -> None:
        self.name = name
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 (closed with the process)
        self.started = perf_counter()
        """When the process was started, by this process' ``time.perf_counter``."""
        self._process = subprocess.Popen(
            command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._log
        )

    def ask(self, job: dict[str, Any]) -> dict[str, Any]:
        """The answer to one job; waits as long as it takes.

        Raises:
            BackendError: the worker answered with an error, or died; the message says which.
        """
        assert self._process.stdin is not None and self._process.stdout is not None
        try:
            self._process.stdin.write(json.dumps(job).encode() + b"\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        except BrokenPipeError:
            line = self._process.stdout.readline()  # it may have said why it did not start
        if not line:
            raise BackendError(f"{self.name}: {self._death()}")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise BackendError(f"{self.name}: {answer['error']}")
        return answer

    def pause(self) -> None:
        """Stop the process where it is: thread pools that spin while they wait take nothing from others."""
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        self._process.send_signal(signal.SIGCONT)

    def cpu_seconds(self) -> float | None:
        """Processor time of the process so far, all threads; ``None`` where the system does not say."""
        try:
            fields = Path(f"/proc/{self._process.pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        except OSError:
            return None
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def close(self) -> None:
        """End it, whatever it does, and wait for that."""
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                with contextlib.suppress(BrokenPipeError):  # what was not written is lost with the process
                    stream.close()
        self._process.kill()
        self._process.wait()
        self._log.close()

    def _death(self) -> str:
        ended = describe_exit(self._process.wait())
        self._log.seek(0)
        said = [line for line in self._log.read().decode("utf-8", "replace").splitlines() if line.strip()]
        return f"{ended}{': ' + said[-1].strip() if said else ''}"


def worker_command(python: Path, module: str, variant: str, files: Path, threads: int) -> list[str]:
    """How ``worker.py`` is started."""
    return [str(python), str(HERE / "worker.py"), module, variant, str(files), str(threads)]
