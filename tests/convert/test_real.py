"""The real checkpoint: what one conversion for three targets must show, against transformers itself."""

from __future__ import annotations

import csv
import json
import os
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
for _library in ("optimum", "onnx", "onnxscript", "onnxruntime", "openvino", "nncf", "litert_torch", "ai_edge_litert"):
    pytest.importorskip(_library)

import edgebert  # noqa: E402
from edgebert.bundle import open_bundle  # noqa: E402
from tests.convert.models import ALL_ARTIFACTS  # noqa: E402

ROOT = Path(__file__).parents[2]
SHARED = Path(os.environ.get("EDGEBERT_SHARED", ROOT / ".." / "shared")).absolute()
CHECKPOINT = SHARED / "checkpoints" / "distilbert-cased-sst2"
DEV = SHARED / "data" / "sst2" / "dev.tsv"
FLOAT = {"onnx-fp32": 1e-4, "openvino-fp16": 1e-2, "tflite-fp16": 1e-2, "tflite-fp32": 1e-4}
"""Largest |logit difference|; fp16 is how the weights are stored."""
INT8 = {"onnx-int8": "onnx-fp32", "openvino-int8": "onnx-fp32", "tflite-int8": "tflite-fp32"}
"""And the float32 artifact that the size is compared with."""

pytestmark = [
    # Converts 66 million parameters seven times and runs 872 texts eight times: minutes, not seconds.
    pytest.mark.full,
    pytest.mark.skipif(
        not (CHECKPOINT.is_dir() and DEV.is_file()), reason=f"no distilbert-cased-sst2 and SST-2 in {SHARED}"
    ),
]

_CONVERT = """
import sys
from edgebert.convert.pipeline import convert
checkpoint, dev, out = sys.argv[1:]
convert(checkpoint, out, targets=["x86-cpu", "intel-cpu", "arm64-linux"], evaluation=dev)
"""


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("real") / "sst2.edgebert"
    # In a process of its own, so that its memory can be told from pytest's.
    done = subprocess.run(
        [sys.executable, "-c", _CONVERT, str(CHECKPOINT), str(DEV), str(out)], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-4000:]
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss < 6e9 / 1024
    return out


@pytest.fixture(scope="module")
def dev() -> tuple[list[str], NDArray[np.int64]]:
    with DEV.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    return [row["sentence"] for row in rows], np.array([int(row["label"]) for row in rows])


@pytest.fixture(scope="module")
def expected(dev: Any) -> NDArray[np.float32]:
    """Logits of transformers, text by text."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(CHECKPOINT)
    model = transformers.AutoModelForSequenceClassification.from_pretrained(CHECKPOINT, dtype=torch.float32).eval()
    rows = []
    with torch.inference_mode():
        for text in dev[0]:
            encoded = tokenizer(text, return_tensors="pt")
            rows.append(model(encoded["input_ids"], encoded["attention_mask"]).logits[0].numpy())
    return np.stack(rows)


@pytest.fixture(scope="module")
def logits(bundle: Path, dev: Any) -> dict[str, NDArray[np.float32]]:
    """Logits of each artifact, as a device computes them."""
    found = {}
    for artifact in ALL_ARTIFACTS:
        with edgebert.load(bundle, artifact=artifact, strict=True) as model:
            rows = []
            for answer in model.stream(dev[0], top_k=None, function_to_apply="none"):
                scores = {entry["label"]: entry["score"] for entry in answer}
                rows.append([scores[label] for label in model.labels])
        found[artifact] = np.array(rows, np.float32)
    return found


def size(bundle: Path, artifact: str) -> int:
    return sum(file.size for file in open_bundle(bundle).manifest.artifact(artifact).files)


def test_the_bundle_holds_all_seven(bundle: Path) -> None:
    opened = open_bundle(bundle)
    opened.verify(opened.manifest.files)
    assert {artifact.id for artifact in opened.manifest.artifacts} == set(ALL_ARTIFACTS)
    evidence = json.loads((bundle / "evidence.json").read_bytes())
    assert {outcome["status"] for outcome in evidence["artifacts"]} == {"passed"}
    assert evidence["evaluation"]["texts"] == 872
    assert evidence["graph_diff"] <= 1e-4
    assert all(outcome["measurement"]["neighbour_diff"] <= 0.05 for outcome in evidence["artifacts"])


@pytest.mark.parametrize("artifact", FLOAT)
def test_float_artifacts_decide_as_transformers_does(artifact: str, logits: Any, expected: Any) -> None:
    assert int((logits[artifact].argmax(axis=1) == expected.argmax(axis=1)).sum()) == 872
    assert np.abs(logits[artifact] - expected).max() <= FLOAT[artifact]


@pytest.mark.parametrize("artifact", INT8)
def test_int8_artifacts_are_as_good_and_a_quarter_of_the_size(
    artifact: str, bundle: Path, logits: Any, expected: Any, dev: Any
) -> None:
    decided, reference = logits[artifact].argmax(axis=1), expected.argmax(axis=1)
    assert (reference == dev[1]).mean() - (decided == dev[1]).mean() <= 0.010
    assert (decided == reference).mean() >= 0.975
    assert size(bundle, artifact) <= 0.27 * size(bundle, INT8[artifact])


@pytest.mark.parametrize("artifact", ALL_ARTIFACTS)
def test_the_evidence_says_what_is_measured_here(artifact: str, bundle: Path, logits: Any, expected: Any) -> None:
    """The same texts on the same machine: what the converter wrote down can be found again."""
    (outcome,) = (
        one for one in json.loads((bundle / "evidence.json").read_bytes())["artifacts"] if one["id"] == artifact
    )
    agreeing = (logits[artifact].argmax(axis=1) == expected.argmax(axis=1)).mean()
    assert outcome["measurement"]["label_agreement"] == pytest.approx(agreeing, abs=1.5 / 872)
    assert np.abs(logits[artifact] - expected).max() <= outcome["measurement"]["max_abs_diff"] * 1.05 + 1e-4


@pytest.mark.parametrize("artifact", ALL_ARTIFACTS)
def test_an_answer_does_not_depend_on_its_neighbours(artifact: str, bundle: Path, dev: Any) -> None:
    """Alone, among others, and among others in another order: the same label and, to rounding, the same score."""
    texts = dev[0][:60]
    with edgebert.load(bundle, artifact=artifact, strict=True) as model:
        alone = [model(text)[0] for text in texts]
        together = model(texts, batch_size=16)
        reverse = model(texts[::-1], batch_size=3)[::-1]
    for one, other, third in zip(alone, together, reverse, strict=True):
        assert one["label"] == other["label"] == third["label"]
        assert one["score"] == pytest.approx(other["score"], abs=2e-3)
        assert one["score"] == pytest.approx(third["score"], abs=2e-3)
