"""What the operating system says about this process."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from edgebert.bench.process import load_average, peak_rss_bytes

pytestmark = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux's /proc")


def test_the_peak_remembers_memory_that_was_given_back() -> None:
    block = np.ones(128 << 20, np.uint8)
    del block
    peak = peak_rss_bytes()
    assert peak is not None
    assert peak >= 128 << 20


def test_a_child_does_not_take_over_the_peak_of_its_parent() -> None:
    block = np.ones(512 << 20, np.uint8)
    code = "from edgebert.bench.process import peak_rss_bytes; print(peak_rss_bytes())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    del block
    assert 10 << 20 < int(done.stdout) < 400 << 20


def test_the_load_average_is_the_kernels() -> None:
    kernel = [float(value) for value in Path("/proc/loadavg").read_text().split()[:3]]
    found = load_average()
    assert found is not None
    assert found == pytest.approx(kernel, abs=5)
