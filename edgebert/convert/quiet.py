"""Keeping converters quiet, without losing what they said when they fail."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
import warnings
from collections.abc import Iterator

_TAIL_BYTES = 4000


class Captured:
    """What was written to standard output and standard error while they were captured."""

    text = ""


@contextlib.contextmanager
def captured_output() -> Iterator[Captured]:
    """Collect whatever is written to file descriptors 1 and 2 (C++ libraries too), and drop warnings.

    Acts on the whole process: other threads that print are captured as well. The end of the text (at most
    4000 bytes) stands in the yielded object when the block is left, also by an exception.
    """
    captured = Captured()
    sys.stdout.flush()
    sys.stderr.flush()
    with tempfile.TemporaryFile() as sink, contextlib.ExitStack() as restore:
        for descriptor in (1, 2):
            saved = os.dup(descriptor)
            restore.callback(os.close, saved)
            restore.callback(os.dup2, saved, descriptor)
            os.dup2(sink.fileno(), descriptor)
        restore.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore")
        try:
            yield captured
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            sink.seek(0, os.SEEK_END)
            sink.seek(max(0, sink.tell() - _TAIL_BYTES))
            captured.text = sink.read().decode("utf-8", "replace")
