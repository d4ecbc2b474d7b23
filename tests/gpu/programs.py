"""Processes on the device: the command ``edgebert``, and the functions of :mod:`tests.gpu.child`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from edgebert.devices.processes import describe_exit
from edgebert.runtime.plans.folder import VARIABLE
from tests.gpu.device import ROOT

PATIENCE_S = 300
"""Seconds after which a process hangs. A build of the smallest board takes about a minute."""

_LOOK_EVERY_S = 0.02
_IN_BUILD_S = 3.0
"""Seconds after which a builder that has opened the driver is building, where TensorRT (8.6) tells of no progress."""


@dataclass(frozen=True)
class Device:
    """The device with a plan cache: each process that is started uses this cache and no other.

    Args:
        plans: the folder of the cache.
    """

    plans: Path

    def environment(self, **variables: str) -> dict[str, str]:
        return {**os.environ, VARIABLE: str(self.plans), **variables}

    def edgebert(self, *arguments: object) -> subprocess.CompletedProcess[str]:
        """Runs the command, whatever its exit code."""
        command = [sys.executable, "-m", "edgebert", *map(str, arguments)]
        return _run(command, self.environment())

    def told(self, *arguments: object) -> Any:
        """What a command that succeeds prints as JSON."""
        done = self.edgebert(*arguments, "--json")
        assert done.returncode == 0, f"{describe_exit(done.returncode)}: {done.stderr[-3000:]}"
        return json.loads(done.stdout)

    def call(self, name: str, bundle: Path, artifact: str, *, variables: dict[str, str] | None = None, **more: Any):
        """What a function of :mod:`tests.gpu.child` returns."""
        command = [sys.executable, "-m", "tests.gpu.child", name]
        arguments = json.dumps({"bundle": str(bundle), "artifact": artifact, **more})
        done = _run(command, self.environment(**(variables or {})), arguments)
        assert done.returncode == 0, f"{name}: {describe_exit(done.returncode)}: {done.stderr[-3000:]}"
        return json.loads(done.stdout)

    def start_build(self, bundle: Path, artifact: str) -> subprocess.Popen[str]:
        """``edgebert build-plan`` in a process group of its own, as it builds."""
        command = [sys.executable, "-m", "edgebert", "build-plan", str(bundle), "--artifact", artifact]
        pipe = subprocess.PIPE
        process = subprocess.Popen(
            command, stdout=pipe, stderr=pipe, text=True, cwd=ROOT, env=self.environment(), start_new_session=True
        )
        assert process.stderr is not None
        os.set_blocking(process.stderr.fileno(), False)
        try:
            wait_until(lambda: process.poll() is not None or builder_of(process.pid) is not None, "the builder starts")
            deadline = time.monotonic() + _IN_BUILD_S
            while time.monotonic() < deadline and process.poll() is None and not process.stderr.readline():
                time.sleep(_LOOK_EVERY_S)
        finally:
            os.set_blocking(process.stderr.fileno(), True)
        assert process.poll() is None, f"the build is over already: {process.communicate()}"
        return process


def builder_of(pid: int) -> int | None:
    """The process that builds a plan for ``pid``, once it has opened the driver."""
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        try:
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            if parent == pid and b"plans.worker" in (folder / "cmdline").read_bytes():
                return int(folder.name) if "libcuda.so" in (folder / "maps").read_text() else None
        except OSError:  # it has ended meanwhile
            continue
    return None


def wait_until(condition: Any, what: str) -> None:
    """Returns when ``condition()`` is true; fails when that takes too long."""
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail(f"waited {PATIENCE_S} s until {what}")
        time.sleep(_LOOK_EVERY_S)


def _run(command: list[str], env: dict[str, str], stdin: str = "") -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            command, input=stdin, capture_output=True, text=True, cwd=ROOT, env=env, timeout=PATIENCE_S, check=False
        )
    except subprocess.TimeoutExpired as expired:
        end = (expired.stderr or b"")[-2000:]
        pytest.fail(f"{' '.join(command[1:5])} has not ended within {PATIENCE_S} s: {end!r}")
