"""The outside of a worker process: start it, wait as long as the budget lasts, and make sense of how it ended."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from time import monotonic

from edgebert.bench.tuning.job import Failure, Job, OutOfTime, Trial, parse_result
from edgebert.devices.processes import describe_exit

# The worker gets the parent's sys.path, as multiprocessing does it, so that it measures the same edgebert.
_BOOT = """\
import sys
sys.path[:] = {path!r}
from edgebert.bench.tuning.worker import main
main(*sys.argv[1:3])
"""


def run_job(job: Job, seconds: float) -> Trial | Failure | OutOfTime:
    """Do ``job`` in a fresh process, which is ended after so many seconds. What it prints is kept off this process."""
    if seconds <= 0:
        return OutOfTime()
    start = monotonic()
    with tempfile.TemporaryDirectory(prefix="edgebert-tune-") as folder:
        job_path, result_path = Path(folder, "job.json"), Path(folder, "result.json")
        job_path.write_text(job.to_json(), encoding="ascii")
        command = [sys.executable, "-c", _BOOT.format(path=sys.path), str(job_path), str(result_path)]
        quiet = subprocess.DEVNULL
        try:
            # On Ctrl-C, run() ends the worker before it raises KeyboardInterrupt.
            done = subprocess.run(
                command, stdin=quiet, stdout=quiet, stderr=subprocess.PIPE, timeout=seconds, check=False
            )
        except subprocess.TimeoutExpired:
            return OutOfTime()
        if done.returncode == 0 and result_path.exists():
            result = parse_result(result_path.read_text(encoding="ascii"))
            return replace(result, total_seconds=monotonic() - start) if isinstance(result, Trial) else result
    said = done.stderr.decode("utf-8", errors="replace").strip().rpartition("\n")[2]
    return Failure(describe_exit(done.returncode) + (f": {said}" if said else ""))
