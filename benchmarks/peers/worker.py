"""The process that serves one peer: ``python worker.py MODULE VARIANT FILES THREADS``.

It answers jobs, a line of JSON each on stdin, with a line of JSON each on stdout, until stdin ends:

- ``{"do": "each", "texts": [...]}``: one by one; ``labels``, and ``ms`` of each, from the text to its label.
- ``{"do": "bulk", "texts": [...], "batch_size": 8}``: as many as there are; ``labels`` and ``seconds``.
- ``{"do": "facts"}``: ``facts`` of the peer, ``peak_rss_bytes`` of the process so far.

A job that fails is answered with ``error``. What libraries print goes to stderr. The peer is loaded before the first
job is read, and nothing is imported that a minimal program would not: the time from the start of the process to the
first answer is measured from outside.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
from time import perf_counter

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from serving.source import Server


def peak_rss_bytes() -> int | None:
    """``VmHWM`` of this process: the most physical memory that it ever held, mapped files included."""
    try:
        with open("/proc/self/status", encoding="ascii") as status:  # noqa: PTH123 (pathlib would be a part of what is timed)
            for line in status:
                if line.startswith("VmHWM:"):
                    return int(line.split()[1]) * 1024
    except OSError:
        pass
    return None


def answer(server: Server, job: dict[str, Any]) -> dict[str, Any]:
    """Do one job."""
    if job["do"] == "each":
        labels, ms = [], []
        for text in job["texts"]:
            start = perf_counter()
            label = server.one(text)
            ms.append((perf_counter() - start) * 1000)
            labels.append(label)
        return {"labels": labels, "ms": ms}
    if job["do"] == "bulk":
        start = perf_counter()
        labels = server.many(job["texts"], job["batch_size"])
        return {"labels": labels, "seconds": perf_counter() - start}
    if job["do"] == "facts":
        return {"facts": server.facts(), "peak_rss_bytes": peak_rss_bytes()}
    raise ValueError(f"unknown job {job['do']!r}")


def main(module: str, variant: str, files: str, threads: str) -> None:
    """Serve until stdin ends."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # libraries print, from C++ too
    try:
        server = importlib.import_module(f"serving.{module}").serve(files, variant, int(threads))
    except Exception as error:
        answers.write(json.dumps({"error": f"it does not load: {type(error).__name__}: {error}"}) + "\n")
        answers.flush()
        raise
    for line in sys.stdin:
        try:
            told = answer(server, json.loads(line))
        except Exception as error:
            told = {"error": f"{type(error).__name__}: {error}"}
        answers.write(json.dumps(told) + "\n")
        answers.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
