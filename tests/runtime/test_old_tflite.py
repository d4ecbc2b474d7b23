"""One bundle under both TFLite runtimes: ai-edge-litert here, tflite-runtime 2.14 in an environment of its own."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import edgebert
from edgebert.assets import calibration_texts, default_checkpoint
from edgebert.convert.pipeline import convert

interpreter = pytest.importorskip("ai_edge_litert.interpreter")

pytestmark = pytest.mark.full  # needs a second environment, with Python <= 3.11 and numpy 1

_SCRIPT = """
import json, sys, warnings
import edgebert
warnings.simplefilter("error")
model = edgebert.load(sys.argv[1])
facts = model.explain().facts
verdicts = {v.artifact: v.reason for v in model.explain().verdicts}
print(json.dumps([facts.artifact, facts.distribution, facts.version, model(json.load(sys.stdin)), verdicts]))
"""

_RAW = """
import json, sys
import numpy as np
from tflite_runtime.interpreter import Interpreter
runner = Interpreter(sys.argv[1]).get_signature_runner("length_32")
rows = [np.array(row, np.int32)[None] for row in json.load(sys.stdin)]
outputs = [runner(input_ids=row, attention_mask=(row > 0).astype(np.int32))["logits"] for row in rows]
print(json.dumps([output[0].tolist() for output in outputs]))
"""


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("old") / "default.edgebert"
    convert(str(default_checkpoint()), path, targets=["arm64-linux"])
    return path


def in_old_runtime(script: str, path: Path, data: object) -> Any:
    """What the script prints in the environment of the old runtime."""
    python = os.environ.get("EDGEBERT_TFLITE_RUNTIME_PYTHON")
    if not python:
        pytest.skip("EDGEBERT_TFLITE_RUNTIME_PYTHON names no Python with tflite-runtime; `make test-full` makes one")
    done = subprocess.run(
        [python, "-c", script, str(path)], input=json.dumps(data), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_float16_weights_serve_the_old_runtime_with_the_same_labels(bundle: Path) -> None:
    texts = calibration_texts()
    artifact, distribution, version, old, verdicts = in_old_runtime(_SCRIPT, bundle, texts)
    assert (artifact, distribution) == ("tflite-fp16", "tflite-runtime")
    assert version.startswith("2.14")
    assert "ai-edge-litert" in verdicts["tflite-int8"]
    with edgebert.load(bundle, artifact="tflite-fp16") as model:
        assert model.explain().facts.distribution == "ai-edge-litert"
        assert [result["label"] for result in old] == [result["label"] for result in model(texts)]


def test_the_int8_file_is_right_in_the_old_runtime_too(bundle: Path) -> None:
    """For apps that embed the file themselves: scales of several channels were read as 0 there."""
    rng = np.random.default_rng(0)
    rows = np.where(np.arange(32) < rng.integers(3, 33, (20, 1)), rng.integers(1, 1000, (20, 32)), 0)
    file = bundle / "artifacts/tflite-int8/model.tflite"
    old = np.array(in_old_runtime(_RAW, file, rows.tolist()))
    runner = interpreter.Interpreter(str(file)).get_signature_runner("length_32")
    new = np.concatenate(
        [
            runner(input_ids=row[None], attention_mask=(row[None] > 0).astype(np.int32))["logits"]
            for row in rows.astype(np.int32)
        ]
    )
    assert np.ptp(new[:, 0]) > 1
    assert np.abs(old - new).max() < 0.1 * np.ptp(new[:, 0])
