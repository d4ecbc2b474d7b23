"""Converters are kept quiet, and what they said is kept."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import warnings
from pathlib import Path

import pytest

from edgebert.convert.quiet import captured_output


def run(code: str) -> subprocess.CompletedProcess[str]:
    """In a process of its own, whose standard output is a real descriptor."""
    code = "from edgebert.convert.quiet import captured_output\nimport os, subprocess, sys\n" + textwrap.dedent(code)
    root = Path(__file__).parents[2]
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=root, timeout=60)


def test_python_c_and_children_are_captured_on_both_streams() -> None:
    done = run("""
        print("before")
        with captured_output() as captured:
            print("from print")
            print("from stderr", file=sys.stderr)
            os.write(1, b"from a descriptor\\n")
            os.write(2, b"from descriptor 2\\n")
            subprocess.run([sys.executable, "-c", "print('from a child')"])
        print("after")
        assert sorted(captured.text.splitlines()) == [
            "from a child", "from a descriptor", "from descriptor 2", "from print", "from stderr"
        ], captured.text
    """)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "before\nafter\n"


def test_what_was_said_before_an_exception_is_kept_and_the_streams_come_back() -> None:
    done = run("""
        try:
            with captured_output() as captured:
                print("almost there")
                raise KeyboardInterrupt
        except KeyboardInterrupt:
            print("stopped after:", captured.text.strip())
    """)
    assert (done.returncode, done.stdout, done.stderr) == (0, "stopped after: almost there\n", "")


def test_only_the_end_of_a_long_output_is_kept() -> None:
    with captured_output() as captured:
        os.write(1, b"x" * 100_000 + "\u00e9nd\n".encode())
    assert captured.text.endswith("xénd\n")
    assert len(captured.text.encode()) == 4000
    with captured_output() as captured:
        os.write(1, b"\xff\xfe broken \xf0\x9f")
    assert "broken" in captured.text


def test_nothing_said_is_an_empty_text() -> None:
    with captured_output() as captured:
        pass
    assert captured.text == ""


def test_warnings_are_dropped_inside_and_heard_again_outside() -> None:
    with captured_output():
        warnings.warn("inside", UserWarning, stacklevel=1)
    with pytest.warns(UserWarning, match="outside"):
        warnings.warn("outside", UserWarning, stacklevel=1)


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="lists the open descriptors of this process in /proc")
def test_no_descriptor_is_left_open() -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(50):
        with captured_output():
            print("said")
    assert len(list(Path("/proc/self/fd").iterdir())) == before
