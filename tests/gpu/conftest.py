"""A GPU's device, bundle and plans, each made once; and the figures that a run prints at its end."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from edgebert.bundle import open_bundle
from edgebert.devices import describe_machine, find_runtimes
from edgebert.runtime.plans import PlanKey
from edgebert.runtime.selection import rank
from tests.gpu import device as gpu
from tests.gpu.programs import Device

_FIGURES = pytest.StashKey[list[str]]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_FIGURES] = []


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    ours = [item for item in items if item.get_closest_marker("gpu")]
    reason = gpu.why_not() if ours else None
    if reason is None:
        return
    if config.getoption("markexpr") == "gpu":  # somebody asked for these tests: to have run none is no success
        pytest.exit(f"The GPU suite {reason}.", returncode=1)
    for item in ours:
        item.add_marker(pytest.mark.skip(reason=f"{reason} (tests/gpu)"))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if config.stash[_FIGURES]:
        terminalreporter.section("what was measured")
        for line in config.stash[_FIGURES]:
            terminalreporter.write_line(line)


@pytest.fixture
def figures(request: pytest.FixtureRequest) -> list[str]:
    """Lines for the end of the run."""
    return request.config.stash[_FIGURES]


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundle that is named, else one that is converted now."""
    named = os.environ.get(gpu.BUNDLE)
    if named:
        return Path(named).absolute()
    path = tmp_path_factory.mktemp("gpu") / "gpu.edgebert"
    command = [sys.executable, "-m", "edgebert", "convert", gpu.checkpoint(), "-t", gpu.TARGET, "-o", path, "--quiet"]
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, cwd=gpu.ROOT, check=False)
    assert done.returncode == 0, f"no bundle: {done.stderr[-3000:]}"
    return path


@dataclass
class Plans:
    """The plans of the bundle, each built when it is first asked for."""

    bundle: Path
    device: Device
    figures: list[str]
    _reports: dict[str, dict[str, Any]] = field(default_factory=dict)
    _failed: dict[str, str] = field(default_factory=dict)

    def __call__(self, artifact: str) -> dict[str, Any]:
        """What ``edgebert build-plan`` told of the build; skips what this device cannot run."""
        self.check(artifact)
        if artifact in self._failed:
            pytest.fail(f"no plan: {self._failed[artifact]}")
        if artifact not in self._reports:
            try:
                [report] = self.device.told("build-plan", self.bundle, "--artifact", artifact)
            except AssertionError as error:
                self._failed[artifact] = str(error)
                raise
            self._reports[artifact] = report
            self.figures.append(
                f"{artifact}: built in {report['seconds']:.1f} s, {report['bytes'] / 1e6:.1f} MB, "
                f"self-test within {report['self_test']['max_abs_diff']:.2g}"
            )
        return self._reports[artifact]

    def check(self, artifact: str) -> None:
        """Skips what this device cannot run."""
        manifest = open_bundle(self.bundle).manifest
        if artifact not in [one.id for one in manifest.artifacts]:
            pytest.skip(f"the bundle has no {artifact}")
        [candidate] = rank(manifest, describe_machine(), find_runtimes(), artifact=artifact)
        if candidate.runtime is None:
            pytest.skip(f"{artifact} cannot run here: {candidate.reason}")

    def key(self, artifact: str) -> PlanKey:
        """What the plan is bound to."""
        parts = self(artifact)["key"]
        return PlanKey(**{**parts, "compute_capability": tuple(parts["compute_capability"])})

    def path(self, artifact: str) -> Path:
        """The file of the plan."""
        return self.device.plans / f"{self.key(artifact).digest()}.plan"


@pytest.fixture(scope="session")
def device(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Device]:
    """The device with an empty plan cache of its own, so that the user's plans stay as they are."""
    folder = tmp_path_factory.mktemp("plans")
    folder.chmod(0o700)
    yield Device(folder)
    shutil.rmtree(folder)  # hundreds of megabytes, which pytest would keep


@pytest.fixture(scope="session")
def plans(bundle: Path, device: Device, request: pytest.FixtureRequest) -> Plans:
    return Plans(bundle, device, request.config.stash[_FIGURES])


@pytest.fixture(params=gpu.ARTIFACTS)
def artifact(request: pytest.FixtureRequest, plans: Plans) -> str:
    """Each artifact whose plan is built here."""
    plans(request.param)
    return str(request.param)


@pytest.fixture
def any_artifact(plans: Plans) -> str:
    """One artifact whose plan is built: that of what does not depend on the precision."""
    plans("tensorrt-fp16")
    return "tensorrt-fp16"


@pytest.fixture
def empty_device(tmp_path: Path) -> Iterator[Device]:
    """The device with another plan cache, which is empty."""
    folder = tmp_path / "plans"
    folder.mkdir(mode=0o700)
    yield Device(folder)
    shutil.rmtree(folder)


@pytest.fixture
def other_device(empty_device: Device, plans: Plans, any_artifact: str) -> Device:
    """The device with another plan cache, in which there are only the timings of kernels, so that builds are short."""
    timings = plans.device.plans / "timings"
    if timings.is_dir():
        shutil.copytree(timings, empty_device.plans / "timings")
    return empty_device


@pytest.fixture(scope="session")
def texts() -> list[str]:
    return gpu.texts()


@pytest.fixture(scope="session")
def reference(bundle: Path, device: Device, texts: list[str]) -> list[list[float]]:
    """The logits of ONNX Runtime in float32, on the CPU."""
    told = device.call("logits", bundle, gpu.REFERENCE, texts=texts)
    return [list(row) for row in told["logits"]]
