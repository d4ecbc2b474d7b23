"""Plans are built, and found again."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from edgebert.bundle import open_bundle
from edgebert.runtime.plans import PlanCache
from tests.gpu.conftest import Plans
from tests.gpu.programs import Device

pytestmark = pytest.mark.gpu


def test_every_length_of_a_plan_passes_the_self_test(artifact: str, plans: Plans, bundle: Path) -> None:
    report = plans(artifact)
    assert report["built"]
    described = open_bundle(bundle).manifest.artifact(artifact)
    assert report["self_test"]["lengths"] == list(described.shapes.buckets)
    assert report["self_test"]["max_abs_diff"] <= described.tolerance
    found = PlanCache(plans.device.plans).find(plans.key(artifact))
    assert found.plan is not None
    assert len(found.plan) == report["bytes"]


def test_a_plan_that_is_there_is_not_built_again(artifact: str, plans: Plans, bundle: Path, device: Device) -> None:
    before = plans.path(artifact).stat()
    [again] = device.told("build-plan", bundle, "--artifact", artifact)
    assert not again["built"]
    after = plans.path(artifact).stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_the_first_answer_of_a_process(
    any_artifact: str, plans: Plans, bundle: Path, device: Device, figures: list[str]
) -> None:
    before = plans.path(any_artifact).stat()
    seconds = []
    for _ in range(3):
        start = time.monotonic()
        seconds.append(device.call("first_answer", bundle, any_artifact)["at"] - start)
    shown = ", ".join(f"{one:.2f}" for one in seconds)
    figures.append(f"{any_artifact}: {shown} s from the start of a process to its first answer (benchmarks/gpu.py)")
    after = plans.path(any_artifact).stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
