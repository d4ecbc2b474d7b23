"""What happened, as lines of JSON in the file that ``FAKE_TENSORRT_LOG`` names, and what is to go wrong."""

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
