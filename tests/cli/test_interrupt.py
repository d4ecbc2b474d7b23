"""Ctrl-C in every stage: exit code 130, one line, and nothing left behind."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest

from tests.cli.command import start


def interrupted(process: subprocess.Popen[bytes]) -> str:
    """Ctrl-C, as a terminal sends it to the whole process group; what standard error then says."""
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate()
    assert process.returncode == 130, err.decode()
    assert not out
    return err.decode()


@pytest.mark.parametrize(
    "stage",
    [
        "loading the conversion libraries",
        "building the graph, checking it against transformers",
        "onnx-fp32: exporting",
        "onnx-int8: measuring",
    ],
)
def test_convert(checkpoint: Path, board: str, tmp_path: Path, stage: str) -> None:
    before = sorted(tmp_path.iterdir())
    arguments = ["convert", "checkpoint", "-o", "x.edgebert", "-t", board]
    process = start(*arguments, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stderr is not None
    for line in process.stderr:
        if line.decode().rstrip().endswith(f"] {stage}"):
            break
    else:
        pytest.fail(f"the stage was not shown: {stage}")
    lines = [line for line in interrupted(process).splitlines() if not line.startswith("[")]
    assert lines == ["", "Interrupted: nothing is left half-written."]
    assert sorted(tmp_path.iterdir()) == before


def test_predict_at_a_silent_input(bundle: Path, tmp_path: Path) -> None:
    pipe = subprocess.PIPE
    process = start("predict", bundle, "--explain", cwd=tmp_path, stdin=pipe, stdout=pipe, stderr=pipe)
    assert process.stderr is not None
    process.stderr.readline()  # the model is loaded
    assert interrupted(process).endswith("\nInterrupted: nothing is left half-written.\n")
