"""A plan that is damaged, stale or not of this device is never given to TensorRT."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from edgebert.runtime.plans import PlanCache, PlanKey
from tests.gpu.conftest import Plans
from tests.gpu.programs import Device

pytestmark = pytest.mark.gpu

Damage = Callable[[Path, PlanKey], None]
"""Puts a plan that must not be used into a cache in which there is a good one, at this path and with this key."""


def _flip(path: Path, key: PlanKey) -> None:
    with path.open("r+b") as file:
        file.seek(path.stat().st_size // 2)
        [byte] = file.read(1)
        file.seek(-1, 1)
        file.write(bytes([byte ^ 1]))


def _truncate(path: Path, key: PlanKey) -> None:
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size * 2 // 3)


def _edit_header(path: Path, key: PlanKey) -> None:
    content = path.read_bytes()
    header, end, plan = content.partition(b"\n")
    assert key.tensorrt.encode() in header
    path.write_bytes(header.replace(key.tensorrt.encode(), b"0.0.1") + end + plan)


def _of_another_version(path: Path, key: PlanKey) -> None:
    _rebind(path, replace(key, tensorrt="0.0.1"), key)


def _of_another_gpu(path: Path, key: PlanKey) -> None:
    _rebind(path, replace(key, gpu="Another GPU"), key)


def _rebind(path: Path, other: PlanKey, key: PlanKey) -> None:
    cache = PlanCache(path.parent)
    plan = cache.find(key).plan
    assert plan is not None
    path.unlink()
    cache.store(other, plan)


DAMAGES: dict[str, tuple[Damage, str]] = {
    "a flipped bit": (_flip, "corrupted"),
    "truncated": (_truncate, "corrupted"),
    "its header edited": (_edit_header, "foreign"),
    "of another TensorRT": (_of_another_version, "stale"),
    "of another GPU": (_of_another_gpu, "foreign"),
}


@pytest.mark.parametrize(("damage", "fault"), DAMAGES.values(), ids=DAMAGES)
def test_refused_before_tensorrt_sees_it(
    damage: Damage, fault: str, any_artifact: str, plans: Plans, bundle: Path, other_device: Device
) -> None:
    path = _copy(plans, any_artifact, other_device)
    damage(path, plans.key(any_artifact))
    told = other_device.call("refused", bundle, any_artifact)
    assert told["refused"]["type"] == "PlanError"
    assert f" is {fault}: " in told["refused"]["message"]
    assert "edgebert build-plan" in told["refused"]["message"]
    assert told["fallback"]["artifact"].startswith("onnx-")
    assert any(any_artifact in said and f" is {fault}: " in said for said in told["fallback"]["said"])


def test_a_corrupted_plan_is_replaced_by_a_load_that_may_build(
    any_artifact: str, plans: Plans, bundle: Path, other_device: Device
) -> None:
    path = _copy(plans, any_artifact, other_device)
    key = plans.key(any_artifact)
    _flip(path, key)
    told = other_device.call("rebuilt", bundle, any_artifact)
    assert told["artifact"] == any_artifact
    assert told["answer"][0] == plans.device.call("first_answer", bundle, any_artifact)["answer"][0]
    assert PlanCache(other_device.plans).find(key).plan is not None


def _copy(plans: Plans, artifact: str, device: Device) -> Path:
    return Path(shutil.copy2(plans.path(artifact), device.plans))
