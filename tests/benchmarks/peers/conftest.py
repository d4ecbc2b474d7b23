"""The harness lies beside the package: its folder is put on the path, as ``python benchmarks/peers/run.py`` does it."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

for name in ("torch", "transformers", "onnx", "onnxruntime", "safetensors"):
    pytest.importorskip(name, reason="needs the convert extra: tiny models are made with it")

from tests.runtime import tiny  # noqa: E402

PEERS = Path(__file__).parents[3] / "benchmarks" / "peers"

sys.path.insert(0, str(PEERS))


@dataclass(frozen=True)
class Inputs:
    """What the command line names."""

    checkpoint: Path
    data: Path
    bundle: Path


@pytest.fixture(scope="session")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Inputs:
    """A tiny checkpoint, sentences of its words, and a bundle whose "int8" artifact is float32 under that name."""
    folder = tmp_path_factory.mktemp("peers")
    checkpoint = tiny.make_checkpoint("single_label_classification", ("NEGATIVE", "POSITIVE"))
    saved = folder / "checkpoint"
    checkpoint.model.save_pretrained(saved)
    (saved / "tokenizer.json").write_bytes(tiny.tokenizer_json())
    data = folder / "sst2"
    data.mkdir()
    rows = [f"the {word} film {'is not good ' * place}\t{place % 2}" for place, word in enumerate(tiny.WORDS)]
    for name in ("train.tsv", "dev.tsv"):
        (data / name).write_text("\n".join(["sentence\tlabel", *rows]) + "\n", encoding="utf-8")
    graph = {"model.onnx": tiny.onnx_bytes(checkpoint)}
    artifacts = [(tiny.artifact(name), graph) for name in ("onnx-fp32", "onnx-int8")]
    return Inputs(saved, data, tiny.write_bundle(folder / "tiny.edgebert", checkpoint, artifacts))


@pytest.fixture(scope="session")
def bundle_path(inputs: Inputs) -> Path:
    return inputs.bundle
