"""The real checkpoint for Jetsons: what the files that plans are built of must show before there is a board.

ONNX Runtime computes them, on the CPU, under its own name; TensorRT-RTX, where it is installed, builds them.
"""

from __future__ import annotations

import json
import os
from importlib import metadata, util
from pathlib import Path
from typing import Any

import numpy as np
import pytest

for _library in ("torch", "transformers", "optimum", "onnx", "onnxscript", "onnxruntime"):
    pytest.importorskip(_library)

import onnx  # noqa: E402

from edgebert.bundle import open_bundle  # noqa: E402
from edgebert.bundle.recipe import check_recipe, parse_recipe  # noqa: E402
from edgebert.convert.checkpoint import load_checkpoint  # noqa: E402
from edgebert.convert.graph import Graph  # noqa: E402
from edgebert.convert.pipeline import convert  # noqa: E402
from edgebert.runtime.tokenization import TextTokenizer  # noqa: E402
from tests.convert.exporters.test_tensorrt import everything_shown, run  # noqa: E402

ROOT = Path(__file__).parents[3]
SHARED = Path(os.environ.get("EDGEBERT_SHARED", ROOT / ".." / "shared")).absolute()
CHECKPOINT = SHARED / "checkpoints" / "distilbert-cased-sst2"
DEV = SHARED / "data" / "sst2" / "dev.tsv"

pytestmark = [
    # Three minutes for each target.
    pytest.mark.full,
    pytest.mark.skipif(
        not (CHECKPOINT.is_dir() and DEV.is_file()), reason=f"no distilbert-cased-sst2 and SST-2 in {SHARED}"
    ),
]


def sentences() -> list[str]:
    found = [line.partition("\t")[0] for line in DEV.read_text(encoding="utf-8").splitlines()[1:]]
    assert len(found) == 872
    return found


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Both targets at once: their artifacts are the same."""
    out = tmp_path_factory.mktemp("jetson") / "sst2.edgebert"
    convert(str(CHECKPOINT), out, targets=["jetson-orin", "jetson-thor"], evaluation=DEV)
    return out


@pytest.fixture(scope="module")
def outcomes(bundle: Path) -> dict[str, Any]:
    evidence = json.loads((bundle / "evidence.json").read_bytes())
    assert evidence["evaluation"]["texts"] == 872
    return {outcome["id"]: outcome for outcome in evidence["artifacts"]}


def test_every_artifact_passed(outcomes: dict[str, Any]) -> None:
    assert set(outcomes) == {"tensorrt-fp16", "tensorrt-int8", "onnx-int8", "onnx-fp32"}
    assert {outcome["status"] for outcome in outcomes.values()} == {"passed"}


def test_float16_decides_as_float32_does(outcomes: dict[str, Any]) -> None:
    measured = outcomes["tensorrt-fp16"]["measurement"]
    assert measured["max_abs_diff"] <= 1e-2
    assert measured["label_agreement"] == 1.0


def test_float16_with_every_result_rounded(bundle: Path) -> None:
    """ONNX Runtime computes float16 products in float32; torch's CPU kernels round the result of each operator.

    The labels are float32's but where its two logits are as close to each other as float16 is to them.
    """
    opened = open_bundle(bundle)
    tokenizer = TextTokenizer(opened.read(opened.manifest.tokenizer.file), max_length=512, pad_id=0)
    graph = Graph(load_checkpoint(str(CHECKPOINT)))
    half = graph.in_float16()
    differing = 0
    for sentence in sentences():
        ids = tokenizer.encode(sentence)[0].input_ids[None]
        inputs = {"input_ids": ids, "attention_mask": np.ones_like(ids)}
        right, ours = graph.run(inputs)["logits"][0], half.run(inputs)["logits"][0]
        assert np.abs(ours - right).max() <= 1e-2
        if ours.argmax() != right.argmax():
            differing += 1
            assert abs(right[0] - right[1]) <= 1e-2
    assert differing <= 2


def test_int8_loses_at_most_a_point(bundle: Path) -> None:
    evidence = open_bundle(bundle).manifest.artifact("tensorrt-int8").evidence
    assert evidence.reference is not None and evidence.value is not None
    assert evidence.reference - evidence.value <= 0.010
    assert evidence.label_agreement >= 0.975


@pytest.mark.skipif(util.find_spec("tensorrt_rtx") is None, reason="TensorRT-RTX is not installed (tensorrt-check)")
@pytest.mark.parametrize("precision", ["fp16", "int8"])
def test_tensorrt_rtx_builds_it(precision: str, outcomes: dict[str, Any]) -> None:
    details = outcomes[f"tensorrt-{precision}"]["measurement"]["details"]
    assert details[f"TensorRT-RTX {metadata.version('tensorrt-rtx-cu12')}"].startswith("builds it for SM86 (")


@pytest.mark.parametrize("precision", ["fp16", "int8"])
def test_the_recipe_is_one_for_the_smallest_board(precision: str, bundle: Path) -> None:
    opened = open_bundle(bundle)
    artifact = opened.manifest.artifact(f"tensorrt-{precision}")
    (ref,) = (file for file in artifact.files if file.path.endswith("recipe.json"))
    recipe = parse_recipe(opened.read(ref))
    check_recipe(recipe, artifact, opened.manifest.inputs)
    assert recipe.workspace_mb == 256  # Orin's, less than Thor's
    assert artifact.shapes.buckets == (16, 32, 64, 128, 256, 512)


@pytest.mark.parametrize("precision", ["fp16", "int8"])
def test_every_layer_is_finite_whatever_the_mask(precision: str, bundle: Path) -> None:
    """Rows of padding alone, of one token, of a real text, and full ones of words that the model knows."""
    opened = open_bundle(bundle)
    tokenizer = TextTokenizer(opened.read(opened.manifest.tokenizer.file), max_length=512, pad_id=0)
    model = everything_shown(onnx.load(bundle / "artifacts" / f"tensorrt-{precision}" / "model.onnx"))
    for length in (16, 128, 512):
        tokens = tokenizer.encode(" ".join(sentences()[:length]), truncation=True)[0].input_ids
        ids = np.tile(tokens[:length], (4, 1))
        assert ids.shape == (4, length)
        mask = np.ones((4, length), np.int32)
        mask[0] = 0
        mask[1, 1:] = 0
        mask[2, length // 3 :] = 0
        for name, values in run(model, {"input_ids": ids, "attention_mask": mask}).items():
            assert np.isfinite(values).all(), (length, name)
