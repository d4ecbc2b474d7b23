"""The bundle that the boards run: one for the whole run of the tests, as ``tests/conftest.py`` gives it to all."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.jetson.board import ROOT

_TARGET = """\
name = "test-jetson"
title = "A Jetson of the tests"

[device]
architectures = ["aarch64", "x86_64"]
memory_mb = 3000
accelerator = "cuda"

[[artifact]]
backend = "tensorrt"
precision = "fp16"

[[artifact]]
backend = "tensorrt"
precision = "int8"

[[artifact]]
backend = "tensorrt"
precision = "fp32"

[[artifact]]
backend = "onnx"
precision = "fp32"

[shapes]
buckets = [16, 64]

[tensorrt]
workspace_mb = 64

[runtime]
install = 'pip install "edgebert[onnx]"'

[gate.fp32]
min_label_agreement = 0.9
max_metric_drop = 0.1
max_logit_difference = 1e-2

[gate.fp16]
min_label_agreement = 0.9
max_metric_drop = 0.1
max_logit_difference = 1e-1

[gate.int8]
min_label_agreement = 0.5
max_metric_drop = 0.5
"""


@pytest.fixture(scope="session")
def jetson_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The embedded checkpoint for a target with a TensorRT artifact of each precision, and ONNX in float32."""
    for name in ("torch", "transformers", "optimum", "onnx", "onnxruntime"):
        pytest.importorskip(name)
    folder = tmp_path_factory.mktemp("test-jetson")
    (folder / "target.toml").write_text(_TARGET)
    command: list[str | Path] = [
        sys.executable,
        "-m",
        "edgebert",
        "convert",
        ROOT / "edgebert/assets/default",
        "--target",
        folder,
    ]
    done = subprocess.run([*command, "--out", folder / "bundle", "--quiet"], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    return folder / "bundle"
