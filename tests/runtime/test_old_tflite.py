"""One bundle under both TFLite runtimes: ai-edge-litert here, tflite-runtime 2.14 in an environment of its own."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

import edgebert
from edgebert.assets import calibration_texts, default_checkpoint
from edgebert.convert.pipeline import convert

pytestmark = pytest.mark.full  # needs a second environment, with Python <= 3.11 and numpy 1

_SCRIPT = """
import json, sys, warnings
import edgebert
warnings.simplefilter("error")
model = edgebert.load(sys.argv[1])
results = model(json.load(sys.stdin))
verdicts = {v.artifact: v.reason for v in model.explain().verdicts}
facts = model.explain().facts
print(json.dumps([model.artifact, facts.distribution, facts.version, [r["label"] for r in results], verdicts]))
"""


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("old") / "default.edgebert"
    convert(str(default_checkpoint()), path, targets=["arm64-linux"])
    return path


def test_the_old_runtime_is_served_by_an_artifact_that_is_right_there(bundle: Path) -> None:
    python = os.environ.get("EDGEBERT_TFLITE_RUNTIME_PYTHON")
    if not python:
        pytest.skip("EDGEBERT_TFLITE_RUNTIME_PYTHON names no Python with tflite-runtime; `make test-full` makes one")
    texts = calibration_texts()
    done = subprocess.run(
        [python, "-c", _SCRIPT, str(bundle)], input=json.dumps(texts), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    artifact, distribution, version, labels, verdicts = json.loads(done.stdout.splitlines()[-1])
    assert (artifact, distribution) == ("tflite-fp32", "tflite-runtime")
    assert version.startswith("2.14")
    assert "ai-edge-litert" in verdicts["tflite-int8"]
    with edgebert.load(bundle, artifact="tflite-fp32") as model:
        assert model.explain().facts.distribution == "ai-edge-litert"
        assert labels == [result["label"] for result in model(texts)]
