"""The real 65M checkpoint on emulated ARM CPUs: the labels of SST-2 sentences, and the same on this machine."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.arm64.compare import CLOSE, assert_same_answers
from tests.arm64.conftest import ask_all, jobs
from tests.arm64.cpus import PARTS
from tests.arm64.root import REPOSITORY, Board

SHARED = Path(os.environ.get("EDGEBERT_SHARED", REPOSITORY / ".." / "shared")).absolute()
CHECKPOINT = SHARED / "checkpoints" / "distilbert-cased-sst2"
DEV = SHARED / "data" / "sst2" / "dev.tsv"
ROWS = 40
MIN_CORRECT = 32
"""Of 40; the checkpoint's accuracy is 0.89."""

pytestmark = [
    pytest.mark.full,  # converts 65 million parameters, and an emulated inference takes seconds
    pytest.mark.skipif(
        not (CHECKPOINT.is_dir() and DEV.is_file()), reason=f"no distilbert-cased-sst2 and SST-2 in {SHARED}"
    ),
]


def test_the_real_int8_file_gives_the_same_labels_everywhere(board: Board, tmp_path: Path) -> None:
    for name in ("torch", "transformers", "optimum", "litert_torch", "ai_edge_quantizer"):
        pytest.importorskip(name, reason="the converter needs it")
    from edgebert.convert.pipeline import convert
    from tests.convert import models

    with DEV.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))[:: 872 // ROWS][:ROWS]
    bundle = tmp_path / "sst2.edgebert"
    target = models.write_target(tmp_path / "target", ["tflite-int8"], buckets=(32, 64), min_int8_agreement=0.95)
    calibration = models.write_texts(tmp_path / "texts.txt", [(row["sentence"], None) for row in rows])
    convert(str(CHECKPOINT), bundle, targets=[target], calibration=calibration)

    told = ask_all(board, {"answer": jobs([bundle], ["tflite-int8"], [row["sentence"] for row in rows])})
    ours = told.pop("host")["answer"][0]
    labels = [result[0]["label"] for result in ours["results"]]
    assert len(labels) == ROWS
    right = [{"0": "NEGATIVE", "1": "POSITIVE"}[row["label"]] for row in rows]
    assert sum(map(str.__eq__, labels, right)) >= MIN_CORRECT
    assert len(told) >= 3
    for theirs in told.values():
        assert theirs["answer"][0]["facts"]["details"] == {"XNNPACK": "applied"}
        assert_same_answers(theirs["answer"][0], ours, "int8")


def test_one_float32_file_gives_the_same_labels_everywhere(board: Board, tmp_path: Path) -> None:
    """The texts of at most 16 tokens: emulated float32 takes seconds for each.

    The older TFLite runtime takes as long again: what it answers is in benchmarks/results.
    """
    for name in ("torch", "transformers", "optimum", "litert_torch"):
        pytest.importorskip(name, reason="the converter needs it")
    from edgebert.convert.checkpoint import load_checkpoint
    from edgebert.convert.exporters import ExportJob, tflite
    from edgebert.convert.graph import Graph

    checkpoint = load_checkpoint(str(CHECKPOINT))
    (tmp_path / "scratch").mkdir()
    tflite.export(
        ExportJob(Graph(checkpoint), checkpoint.max_length, (16,), [], tmp_path / "scratch"), "fp32", tmp_path
    )
    out = tmp_path / "results.json"
    command = [sys.executable, REPOSITORY / "benchmarks" / "tflite_emulated.py", CHECKPOINT, DEV]
    command += [tmp_path / tflite.MODEL_FILE, "--runtime", "ai-edge-litert", "--rows", str(ROWS), "--out", out]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-4000:]
    [file] = json.loads(out.read_text())["files"]
    assert file["here"]["correct"] >= MIN_CORRECT
    assert {one["cpu"] for one in file["emulated"]} == board.cpus & PARTS.keys()
    for one in file["emulated"]:
        assert one["labels_as_here"] == ROWS, one
        assert one["max_abs_diff_from_here"] < CLOSE["fp32"]
        assert one["delegated_parts"] > 0
