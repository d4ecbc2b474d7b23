"""A build that is interrupted ends as a whole, and leaves nothing."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from edgebert.runtime.plans import PlanCache
from tests.gpu.conftest import Plans
from tests.gpu.programs import Device, builder_of, wait_until

pytestmark = pytest.mark.gpu


@pytest.fixture
def artifact(plans: Plans) -> str:
    """One that can be built here; nothing is built for it."""
    plans.check("tensorrt-fp16")
    return "tensorrt-fp16"


def _is_alive(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def test_ctrl_c(artifact: str, bundle: Path, empty_device: Device) -> None:
    process = empty_device.start_build(bundle, artifact)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    out, err = process.communicate(timeout=60)
    wait_until(lambda: not _is_alive(process.pid), "no process of the build is left")
    assert process.returncode == 130, err
    assert out == ""
    assert err.rstrip().endswith("Interrupted: nothing is left half-written.")
    assert "Traceback" not in err
    assert PlanCache(empty_device.plans).entries() == []


def test_kill_leaves_no_plan(artifact: str, bundle: Path, empty_device: Device) -> None:
    process = empty_device.start_build(bundle, artifact)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL
    assert PlanCache(empty_device.plans).entries() == []
    with PlanCache(empty_device.plans).building():  # nobody holds the lock
        pass


def test_a_killed_builder_is_one_error(artifact: str, bundle: Path, empty_device: Device) -> None:
    process = empty_device.start_build(bundle, artifact)
    builder = builder_of(process.pid)
    assert builder is not None
    os.kill(builder, signal.SIGKILL)  # as the system does when memory runs out
    out, err = process.communicate(timeout=60)
    assert process.returncode == 1, err
    assert out == ""
    assert [line for line in err.splitlines() if line.startswith("Error: ")] == [
        line for line in err.splitlines() if "SIGKILL" in line
    ]
    assert err.count("Hint: ") == 1
    assert PlanCache(empty_device.plans).entries() == []
