"""The outside of a worker process: start it, wait, and make sense of how it ended."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

from edgebert.bench.trial import Job, Refusal, Trial, parse_answer
from edgebert.devices.processes import describe_exit

# `python -m edgebert.bench.worker` would import edgebert before any statement that could look at the clock. The
# monotonic clock is the same for all processes. The worker gets the parent's sys.path, as multiprocessing does it, so
# that it measures the same edgebert.
_BOOT = """\
import sys, time
entered = time.monotonic()
sys.path[:] = {path!r}
import edgebert
imported = time.monotonic()
from {module} import main
main(*sys.argv[1:3], (entered - float(sys.argv[3])) * 1000, (imported - entered) * 1000)
"""

_LOG_LINES = 60
"""Enough for what a backend says before it dies and the stack that faulthandler prints after it."""


@dataclass(frozen=True, slots=True)
class Crash:
    """A worker ended without an answer, or badly after it: why, and the end of what it wrote to stderr."""

    reason: str
    log: str


def run_worker(job: Job) -> Trial | Refusal | Crash:
    """Do ``job`` in a fresh process. What it prints does not reach this process' output."""
    answer = run_main("edgebert.bench.worker", job.to_json())
    return answer if isinstance(answer, Crash) else parse_answer(answer)


def run_main(module: str, job: str) -> str | Crash:
    """Call a module's ``main(job_path, answer_path, interpreter_ms, import_ms)`` in a fresh process.

    Args:
        module: its name.
        job: what stands in the file of the job, ASCII.

    Returns:
        What ``main`` wrote as its answer, ASCII, or how the process ended without one.
    """
    with tempfile.TemporaryDirectory(prefix="edgebert-bench-") as folder:
        job_path, answer_path = Path(folder, "job.json"), Path(folder, "answer.json")
        job_path.write_text(job, encoding="ascii")
        boot = _BOOT.format(path=sys.path, module=module)
        command = [sys.executable, "-X", "faulthandler", "-c", boot, str(job_path), str(answer_path)]
        # On Ctrl-C, run() ends the worker before it raises KeyboardInterrupt.
        done = subprocess.run(
            [*command, repr(monotonic())], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
        if done.returncode == 0 and answer_path.exists():
            return answer_path.read_text(encoding="ascii")
    log = "\n".join(done.stderr.decode("utf-8", errors="replace").splitlines()[-_LOG_LINES:])
    return Crash(describe_exit(done.returncode), log)
