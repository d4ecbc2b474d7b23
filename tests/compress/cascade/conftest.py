"""Bundles of tiny models: a bigger one that is always right, and small ones that are nearly, or not at all, like it."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
import torch

import edgebert
from tests.runtime import tiny

LABELS = ("NEGATIVE", "NEUTRAL", "POSITIVE")
KIND = "single_label_classification"


def bundle(out: Path, checkpoint: tiny.Checkpoint) -> Path:
    return tiny.write_bundle(
        out, checkpoint, [(tiny.artifact("onnx-fp32"), {"model.onnx": tiny.onnx_bytes(checkpoint)})]
    )


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``big.edgebert``, ``near.edgebert``, ``far.edgebert``, and ``eval.tsv`` with what the first one answers."""
    folder = tmp_path_factory.mktemp("cascade")
    checkpoint = tiny.make_checkpoint(KIND, LABELS)
    big = bundle(folder / "big.edgebert", checkpoint)
    choice = random.Random(0)
    texts = [" ".join(choice.choices(tiny.WORDS, k=choice.randint(2, 9))) for _ in range(240)]
    with edgebert.load(big) as model:
        rows = [f"{text}\t{answer['label']}" for text, answer in zip(texts, model(texts), strict=True)]
    (folder / "eval.tsv").write_text("\n".join(["sentence\tlabel", *rows]) + "\n")
    near = tiny.make_checkpoint(KIND, LABELS)
    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in near.model.parameters():
            parameter += 0.01 * torch.randn_like(parameter)
    bundle(folder / "near.edgebert", near)
    bundle(folder / "far.edgebert", tiny.make_checkpoint(KIND, LABELS, seed=7))
    return folder
