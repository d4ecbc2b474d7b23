"""Shared libraries that stand in for NVIDIA's, compiled from C: each only once in a run of the tests."""

from __future__ import annotations

import functools
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest


def write_library(path: Path, source: str, *flags: str) -> str:
    """Compiles ``source`` to the shared library ``path``, and returns the path; skips where there is no compiler."""
    path.unlink(missing_ok=True)  # a process that runs with the old one keeps it
    path.write_bytes(_compile(source, flags))
    return str(path)


@functools.cache
def _compile(source: str, flags: tuple[str, ...]) -> bytes:
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        pytest.skip("there is no C compiler to build a stand-in for a library of NVIDIA's with")
    with tempfile.TemporaryDirectory() as folder:
        code, library = Path(folder, "library.c"), Path(folder, "library.so")
        code.write_text(source)
        command = [compiler, "-shared", "-fPIC", *flags, "-o", str(library), str(code), "-ldl", "-lpthread"]
        subprocess.run(command, check=True, capture_output=True)
        return library.read_bytes()
