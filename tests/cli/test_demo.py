"""``edgebert demo``: the main job on the embedded model."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.command import run


@pytest.mark.full  # a minute or two: it converts for every target and benchmarks
def test_demo(tmp_path: Path) -> None:
    for name in ("torch", "transformers", "optimum", "nncf", "litert_torch"):
        pytest.importorskip(name)
    result = run("demo", "--out", "demo.edgebert", cwd=tmp_path)
    assert result.code == 0, result.err
    built = ("onnx-fp32", "onnx-int8", "openvino-fp16", "openvino-int8", "tflite-fp32", "tflite-fp16", "tflite-int8")
    for artifact in built:
        assert f"{artifact}: passed" in result.progress
    answers = [line.split("  ")[0] for line in result.out.splitlines() if line.startswith(("POSITIVE", "NEGATIVE"))]
    assert len(answers) == 3
    assert answers[:2] == ["POSITIVE", "NEGATIVE"]
    assert run("verify", "demo.edgebert", cwd=tmp_path).code == 0
    assert [path.name for path in tmp_path.iterdir()] == ["demo.edgebert"]
