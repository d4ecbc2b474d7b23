"""The two TFLite runtimes: what the old one reads of int8 weights, and the labels of the real checkpoint in both."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

for _library in ("torch", "transformers", "optimum", "litert_torch", "ai_edge_litert", "ai_edge_quantizer"):
    pytest.importorskip(_library)

ROOT = Path(__file__).parents[3]
SHARED = Path(os.environ.get("EDGEBERT_SHARED", ROOT / ".." / "shared")).absolute()
CHECKPOINT = SHARED / "checkpoints" / "distilbert-cased-sst2"
DEV = SHARED / "data" / "sst2" / "dev.tsv"
KINDS = ("FULLY_CONNECTED", "EMBEDDING_LOOKUP")
ROWS = 872

old = pytest.mark.full  # needs a second environment, with Python <= 3.11 and numpy 1


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("zeros")


@pytest.fixture(scope="module")
def new_runtime(folder: Path) -> dict[str, Any]:
    return reproduce(sys.executable, folder)  # writes the files, and runs them


@pytest.fixture(scope="module")
def old_python() -> str:
    python = os.environ.get("EDGEBERT_TFLITE_RUNTIME_PYTHON")
    if not python:
        pytest.skip("EDGEBERT_TFLITE_RUNTIME_PYTHON names no Python with tflite-runtime; `make test-full` makes one")
    return python


def reproduce(python: str, folder: Path) -> dict[str, Any]:
    """What the reproduction prints: for each operator the scale that is read, numpy's output and the runtime's."""
    command = [python, str(ROOT / "benchmarks" / "tflite_zeros.py"), str(folder)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found = re.findall(r"(\w+): .* are (\(.*\))\n *numpy *(\[.*\])\n *runtime *(\[.*\])\n", done.stdout)
    return {
        kind: (scale, *(np.array(json.loads(values)) for values in (wanted, got))) for kind, scale, wanted, got in found
    }


@pytest.mark.parametrize("kind", KINDS)
def test_the_new_runtime_reads_a_scale_per_channel(new_runtime: dict[str, Any], kind: str) -> None:
    _, wanted, got = new_runtime[kind]
    assert np.ptp(wanted) > 1
    np.testing.assert_allclose(got, wanted, rtol=0, atol=0.05)


@pytest.mark.parametrize("kind", KINDS)
@old
def test_the_old_runtime_reads_the_one_scale_of_older_files_and_gives_zeros(
    new_runtime: dict[str, Any], old_python: str, folder: Path, kind: str
) -> None:
    """If this fails the finding is no longer true, and the scales need not stand in the graph."""
    scale, wanted, got = reproduce(old_python, folder)[kind]
    assert scale == "(0.0, 0)"
    np.testing.assert_array_equal(wanted, new_runtime[kind][1])
    assert not got.any()


@pytest.mark.skipif(
    not (CHECKPOINT.is_dir() and DEV.is_file()), reason=f"no distilbert-cased-sst2 and SST-2 in {SHARED}"
)
@old
def test_one_file_of_the_real_checkpoint_in_both_runtimes(old_python: str, tmp_path: Path) -> None:
    """float32: the same labels for all of SST-2 dev. int8: right in both, and not the same, as the manifest knows."""
    from edgebert.convert.checkpoint import load_checkpoint
    from edgebert.convert.exporters import ExportJob, tflite
    from edgebert.convert.graph import Graph

    checkpoint = load_checkpoint(str(CHECKPOINT))
    (tmp_path / "scratch").mkdir()
    job = ExportJob(Graph(checkpoint), checkpoint.max_length, (16, 32, 64, 128), [], tmp_path / "scratch")
    files = []
    for precision in ("fp32", "int8"):
        exported = tflite.export(job, precision, tmp_path)
        assert ("tflite-runtime" in exported.requires.runtimes) == (precision == "fp32")
        files.append(str((tmp_path / tflite.MODEL_FILE).rename(tmp_path / f"{precision}.tflite")))

    out = tmp_path / "results.json"
    command = [sys.executable, str(ROOT / "benchmarks" / "tflite_runtimes.py"), str(CHECKPOINT), str(DEV), *files]
    command += ["--old-python", old_python, "--out", str(out), "--rounds", "1", "--repetitions", "0", "--threads", "2"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-4000:]
    fp32, int8 = json.loads(out.read_text())["layouts"]
    assert {told["version"] for told in fp32["runtimes"].values()} >= {"2.14.0"}
    assert fp32["between_runtimes"]["labels_that_differ"] == 0
    assert fp32["between_runtimes"]["max_abs_diff"] < 1e-4
    assert [told["labels_as_reference"] for told in fp32["runtimes"].values()] == [ROWS, ROWS]
    assert all(told["labels_as_reference"] >= 0.975 * ROWS for told in int8["runtimes"].values())
    assert int8["between_runtimes"]["labels_that_differ"] <= 0.01 * ROWS
