"""What happened, as lines of JSON in the file that ``FAKE_TENSORRT_LOG`` names, and what is to go wrong.

Each line has ``event``, ``pid`` and ``thread``, and:

- ``Builder``, ``Runtime``: that a constructor was called.
- ``create_network``: ``flags``. ``parse``: ``file``, ``nodes``, ``layers``; only of a file that was taken.
- ``build``: ``flags``, ``preview``, ``strongly_typed``, ``workspace``, ``verbosity``, ``profiles`` (each input ->
  [min, opt, max]), ``precisions`` (layer -> type) and ``output_types`` (tensor -> type) that were asked for, and
  ``error``: null, or why there is no plan. With a plan also ``bytes``, ``timings_reused`` and ``timings_made``.
- ``deserialize``: ``bytes``, ``error``. ``create_execution_context``: ``strategy``. ``set_profile``: ``profile``.
- ``enqueue``: ``profile``, ``shapes``, ``captured``. ``run``: ``shapes``; as often as it runs, in a graph or not.
- ``abort``: ``why``; the process ends.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from typing import NoReturn


def note(event: str, **facts: object) -> None:
    """Appends one event, with the process and the thread."""
    path = os.environ.get("FAKE_TENSORRT_LOG")
    if path:
        line = json.dumps({"event": event, "pid": os.getpid(), "thread": threading.get_ident(), **facts})
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(descriptor, f"{line}\n".encode())  # one write: whole lines, whoever writes beside
        finally:
            os.close(descriptor)


def told(fault: str) -> bool:
    """Whether ``FAKE_TENSORRT_FAULT`` asks for this fault."""
    return fault in os.environ.get("FAKE_TENSORRT_FAULT", "").split(",")


def refused_operators() -> set[str]:
    """The operator types that the parser is not to take."""
    faults = os.environ.get("FAKE_TENSORRT_FAULT", "").split(",")
    return {fault.removeprefix("refuse:") for fault in faults if fault.startswith("refuse:")}


def die(why: str) -> NoReturn:
    """Ends the process as a crash does, where the real one is undefined or crashes."""
    note("abort", why=why)
    sys.stderr.write(f"the fake TensorRT ends the process: {why}\n")
    sys.stderr.flush()
    os.abort()
