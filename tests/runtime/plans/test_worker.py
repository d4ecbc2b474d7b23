"""The process that builds a plan, with a real builder: TensorRT-RTX needs no GPU when told which to build for."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

onnx = pytest.importorskip("onnx")
pytest.importorskip("torch", reason="the converter makes what is built")
pytest.importorskip("tensorrt_rtx", reason="the extra tensorrt-check is not installed")

from edgebert.bundle.recipe import RECIPE_NAME  # noqa: E402
from edgebert.devices.backends import Runtime  # noqa: E402
from edgebert.runtime.plans import PlanCache  # noqa: E402
from edgebert.runtime.plans.job import BuildDone, BuildFailure, BuildJob, BuildStep, parse_event  # noqa: E402
from tests.convert.conftest import Exports  # noqa: E402
from tests.devices import fake_cuda  # noqa: E402
from tests.jetson import fake_cudart  # noqa: E402

_MODULE = """
import sys
import tensorrt_rtx

create = tensorrt_rtx.Builder.create_builder_config


def create_for_ampere(builder):
    config = create(builder)
    config.num_compute_capabilities = 1
    config.set_compute_capability(tensorrt_rtx.ComputeCapability.SM86, 0)
    return config


tensorrt_rtx.Builder.create_builder_config = create_for_ampere
sys.modules[__name__] = tensorrt_rtx
"""


class Builder:
    """Runs the worker where a driver, a CUDA runtime and TensorRT-RTX are found."""

    def __init__(self, folder: Path) -> None:
        (folder / "lib").mkdir()
        fake_cuda.build(folder / "lib")
        self.cudart = fake_cudart.build(folder / "lib")
        (folder / "rtx_without_gpu.py").write_text(_MODULE)
        self.folder = folder
        self.cache = PlanCache(folder / "plans")

    def run(self, artifact: Path) -> list[BuildStep | BuildFailure | BuildDone]:
        job = BuildJob(
            model=str(artifact / "model.onnx"),
            recipe=(artifact / RECIPE_NAME).read_text(),
            artifact="a" * 64,
            folder=str(self.cache.folder),
            runtime=Runtime("tensorrt", "tensorrt-rtx", "rtx_without_gpu", "1", None, ""),
            cudart=self.cudart,
        )
        root = str(Path(__file__).parents[3])
        done = subprocess.run(
            [sys.executable, "-c", "from edgebert.runtime.plans.worker import main; main()"],
            input=job.to_json(),
            capture_output=True,
            text=True,
            check=False,
            env={
                **os.environ,
                "LD_LIBRARY_PATH": str(self.folder / "lib"),
                "PYTHONPATH": os.pathsep.join([root, str(self.folder)]),
            },
        )
        assert done.returncode == 0, done.stderr
        return [parse_event(line) for line in done.stdout.splitlines()]


@pytest.fixture
def builder(tmp_path: Path) -> Builder:
    return Builder(tmp_path)


@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8"])
def test_a_real_builder_makes_a_plan(precision: str, builder: Builder, exports: Exports) -> None:
    *steps, done = builder.run(exports(f"tensorrt-{precision}")[0])
    assert isinstance(done, BuildDone)
    assert done.size > 10_000
    assert steps
    assert all(isinstance(step, BuildStep) and 0 <= step.done <= step.total for step in steps)
    assert {step.parent for step in steps if isinstance(step, BuildStep)} >= {""}
    [entry] = builder.cache.entries()
    assert entry.key is not None
    assert (entry.key.gpu, entry.key.compute_capability, entry.key.artifact) == ("Orin", (8, 7), "a" * 64)
    found = builder.cache.find(entry.key)
    assert found.plan is not None
    assert len(found.plan) == done.size


def test_every_node_that_a_real_parser_refuses_is_named(builder: Builder, exports: Exports, tmp_path: Path) -> None:
    source = exports("tensorrt-fp16")[0]
    artifact = tmp_path / "artifact"
    artifact.mkdir()
    model: Any = onnx.load(source / "model.onnx")
    planted = [node for node in model.graph.node if node.op_type == "Erf"][:2]
    for node in planted:
        node.op_type = "NoSuchOperator"
    onnx.save(model, artifact / "model.onnx")
    (artifact / RECIPE_NAME).write_bytes((source / RECIPE_NAME).read_bytes())
    [failure] = builder.run(artifact)
    assert isinstance(failure, BuildFailure)
    assert "NoSuchOperator" in failure.message
    assert all(node.name in failure.message for node in planted)
    assert builder.cache.entries() == []


def test_a_damaged_file_is_refused(builder: Builder, exports: Exports, tmp_path: Path) -> None:
    source = exports("tensorrt-fp16")[0]
    artifact = tmp_path / "artifact"
    artifact.mkdir()
    (artifact / "model.onnx").write_bytes((source / "model.onnx").read_bytes()[:1000])
    (artifact / RECIPE_NAME).write_bytes((source / RECIPE_NAME).read_bytes())
    [failure] = builder.run(artifact)
    assert isinstance(failure, BuildFailure)
    assert "does not take model.onnx" in failure.message
    assert failure.hint


def test_what_passes_between_the_processes_survives_it(tmp_path: Path) -> None:
    runtime = Runtime("tensorrt", "tensorrt", "tensorrt", "10.3.0", None, "pip install é")
    job = BuildJob(str(tmp_path / "modèl.onnx"), "{}", "a" * 64, str(tmp_path), runtime, "libcudart.so.12")
    assert BuildJob.from_json(job.to_json()) == job
    assert json.loads(job.to_json()) == asdict(job)
