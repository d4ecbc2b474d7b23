"""What the operating system says about this process."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from edgebert.bench.process import load_average, peak_rss_bytes, resident

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


def test_what_is_held_is_split_into_files_and_own(tmp_path: Path) -> None:
    path = tmp_path / "weights"
    path.write_bytes(bytes(64 << 20))
    before = resident()
    assert before is not None
    mapped = np.memmap(path, np.uint8, mode="r")
    mapped.sum()
    own = np.ones(96 << 20, np.uint8)
    after = resident()
    assert after is not None
    assert after.rss_bytes == after.file_bytes + after.anonymous_bytes
    assert after.file_bytes - before.file_bytes > 60 << 20
    assert after.anonymous_bytes - before.anonymous_bytes > 90 << 20
    assert 0 < after.pss_bytes <= after.rss_bytes
    assert own.size and mapped.size


@pytest.mark.parametrize("text", ["", "Rss: 12 kB\n", "Rss: x kB\nAnonymous: 1 kB\nPss: 1 kB\n", "\x00\xff: kB"])
def test_memory_that_is_not_told_is_unknown(tmp_path: Path, text: str) -> None:
    assert resident(tmp_path) is None
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/self/smaps_rollup").write_text(text, encoding="latin-1")
    assert resident(tmp_path) is None
