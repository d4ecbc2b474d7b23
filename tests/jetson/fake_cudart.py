"""A stand-in for NVIDIA's CUDA runtime: a real shared library, compiled from C, that is stricter than the real one.

"Device memory" is memory of the host. What is put on a stream waits there until something synchronizes with it, so
that a forgotten synchronization, or a host buffer that is changed too early, gives the wrong answers that it gives on
a GPU. Nothing is taken that is not known: a copy from or to memory that was not allocated as its kind says is an error
(the real one takes pageable memory, and is not asynchronous then).

It exports the functions of the CUDA runtime API that are named in the source and no others, and four of its own for
:mod:`tests.jetson.fake_tensorrt`, whose names begin with ``fake_``. Three variables steer it:

- ``FAKE_CUDA_MEMORY``: bytes that there are for device and pinned memory together, as on a Jetson; else 8 * 10^9.
- ``FAKE_CUDA_LOG``: a file to which a process that ends appends what it has not given back, as a line of JSON, with the
  most bytes that it had at a time and how often it launched a graph.
- ``FAKE_CUDA_FAULT``: ``no-capture``, ``sticky:N`` (after N synchronizations, all fails), or ``no-pinned``.
"""

from __future__ import annotations

from pathlib import Path

from tests.devices.compiled import write_library

SONAMES = ("libcudart.so.11.0", "libcudart.so.12", "libcudart.so.13")

_SOURCE = Path(__file__).with_suffix(".c")


def build(folder: Path, soname: str = "libcudart.so.12", version: int = 12060) -> str:
    """The path of a CUDA runtime in ``folder``, of the API's ``version`` (1000 * major + 10 * minor)."""
    assert soname in SONAMES
    flags = ("-std=gnu11", "-O1", "-Wall", "-fvisibility=hidden", f"-DVERSION={version}", f"-Wl,-soname,{soname}")
    return write_library(folder / soname, _SOURCE.read_text(encoding="utf-8"), *flags)
