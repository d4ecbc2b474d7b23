"""The commands of EdgeBERT with a plan."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.gpu.programs import Device

pytestmark = pytest.mark.gpu


def test_verify(any_artifact: str, bundle: Path, device: Device) -> None:
    [result] = [one for one in device.told("verify", bundle) if one["artifact"] == any_artifact]
    assert result["status"] == "passed", result["reason"]


def test_predict_explains_that_the_plan_runs(any_artifact: str, bundle: Path, device: Device) -> None:
    done = device.edgebert("predict", bundle, "--artifact", any_artifact, "--explain", "a gripping film .")
    assert done.returncode == 0, done.stderr
    assert any_artifact in done.stderr
    assert "compute capability" in done.stderr


def test_bench(any_artifact: str, bundle: Path, device: Device) -> None:
    options = ["--length", 16, "--repetitions", 3, "--rounds", 1, "--quiet"]
    report = device.told("bench", bundle, "--artifact", any_artifact, *options)
    [result] = report["artifacts"]
    assert result["status"] == "measured", result["reason"]
    assert result["measurements"]["facts"]["backend"] == "tensorrt"


def test_the_layers_of_a_plan_are_told(artifact: str, bundle: Path, device: Device) -> None:
    [listing] = device.told("inspect", bundle, "--ops", "--artifact", artifact)
    assert listing["status"] == "listed", listing["reason"]
    operators = listing["execution"]["operators"]
    assert sum(one["count"] for one in operators) > 1
    assert all(one["precision"] != "not told" for one in operators), "the plan was built without details"
