"""What an artifact really executes here, asked in a process of its own: it costs as much as opening it once more."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

from edgebert.bench.launch import Crash, run_main
from edgebert.bench.report import Executed
from edgebert.errors import EdgebertError
from edgebert.runtime.engines import Execution
from edgebert.runtime.engines.base import Kernel, Operator
from edgebert.runtime.operators import list_operators


def ask_what_executes(bundle: Path, artifact: str) -> Executed:
    """The operators of an artifact that runs here, as its backend tells them. Never raises.

    Args:
        bundle: the bundle's folder.
        artifact: its id.
    """
    answer = run_main(__name__, json.dumps({"bundle": str(bundle), "artifact": artifact}))
    if isinstance(answer, Crash):
        return Executed(None, None, answer.reason)
    said = json.loads(answer)
    return Executed(said["length"], said["execution"] and _parse(said["execution"]), said["reason"])


def main(job_path: str, answer_path: str, interpreter_ms: float, import_ms: float) -> None:
    """What the process does; see :func:`edgebert.bench.launch.run_main`."""
    job = json.loads(Path(job_path).read_text(encoding="ascii"))
    try:
        [listing] = list_operators(job["bundle"], artifact=job["artifact"])
        found = Executed(listing.length, listing.execution, listing.reason)
    except EdgebertError as error:
        found = Executed(None, None, error.message)
    Path(answer_path).write_text(json.dumps(dataclasses.asdict(found)), encoding="ascii")


def _parse(said: dict[str, Any]) -> Execution:
    return Execution(
        operators=tuple(Operator(**one) for one in said["operators"]),
        kernels=tuple(Kernel(**one) for one in said["kernels"]),
        untold=said["untold"],
    )
