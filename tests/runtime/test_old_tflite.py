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
model = edgebert.load(sys.argv[1], artifact=sys.argv[2])
facts = model.explain().facts
print(json.dumps([facts.distribution, facts.version, model(json.load(sys.stdin))]))
"""


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("old") / "default.edgebert"
    convert(str(default_checkpoint()), path, targets=["arm64-linux"])
    return path


@pytest.mark.parametrize("artifact", ["tflite-int8", "tflite-fp32"])
def test_both_runtimes_give_the_same_labels(bundle: Path, artifact: str) -> None:
    python = os.environ.get("EDGEBERT_TFLITE_RUNTIME_PYTHON")
    if not python:
        pytest.skip("EDGEBERT_TFLITE_RUNTIME_PYTHON names no Python with tflite-runtime; `make test-full` makes one")
    texts = calibration_texts()
    done = subprocess.run(
        [python, "-c", _SCRIPT, str(bundle), artifact],
        input=json.dumps(texts), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    distribution, version, old = json.loads(done.stdout.splitlines()[-1])
    assert distribution == "tflite-runtime"
    assert version.startswith("2.14")
    with edgebert.load(bundle, artifact=artifact) as model:
        assert model.explain().facts.distribution == "ai-edge-litert"
        new = model(texts)
    # int8 kernels round activations in their own ways, which may turn a label that hangs in the balance.
    margin = 0.05 if artifact == "tflite-int8" else 0.0
    decided = [abs(result["score"] - 0.5) > margin for result in new]
    assert sum(decided) > 0.9 * len(texts)
    assert [r["label"] for r, d in zip(old, decided, strict=True) if d] == [
        r["label"] for r, d in zip(new, decided, strict=True) if d
    ]
