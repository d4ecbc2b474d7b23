"""The script that a person runs on a board."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "ondevice.py"


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, str(SCRIPT), *map(str, arguments)], capture_output=True, text=True)


def test_it_prints_the_table_and_writes_the_json(bundle_path: Path, tmp_path: Path) -> None:
    (tmp_path / "texts.txt").write_text("a film\nthe plot is dull\n")
    (tmp_path / "dev.tsv").write_text("sentence\tlabel\ngood\tPOSITIVE\n")
    out = tmp_path / "results.json"
    options = ["--lengths", 8, "--repetitions", 2, "--threads", 1, "--texts", tmp_path / "texts.txt", "--out", out]
    options += ["--rounds", 3, "--precision", 1e-9, "--budget", 0.1, "--eval", tmp_path / "dev.tsv", "--seed", 1]
    done = run(bundle_path, "--artifact", "onnx-fp32", "openvino-fp32", *options)
    assert done.returncode == 0, done.stderr
    assert "onnx-fp32" in done.stdout
    assert "round 1 of 3" in done.stderr
    data = json.loads(out.read_bytes())
    assert [entry["id"] for entry in data["artifacts"]] == ["onnx-fp32", "openvino-fp32"]
    assert data["plan"]["text_count"] == 2
    assert (data["plan"]["seed"], data["course"]["rounds"], data["course"]["ended"]) == (1, 1, "budget")
    assert data["evaluation"]["count"] == 1


def test_errors_are_one_message_with_a_hint(bundle_path: Path, tmp_path: Path) -> None:
    done = run(bundle_path, "--artifact", "none")
    assert (done.returncode, done.stdout) == (1, "")
    error, hint = done.stderr.splitlines()
    assert error == "error: The bundle has no artifact 'none'."
    assert hint.startswith("hint: It has: ")


@pytest.mark.parametrize("out", [".", "missing/results.json"])
def test_an_output_that_cannot_be_written_is_refused_before_the_work(
    bundle_path: Path, tmp_path: Path, out: str
) -> None:
    done = run(bundle_path, "--out", tmp_path / out)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("error: Cannot write ")
    assert "round" not in done.stderr


def test_it_needs_no_more_than_a_device_has() -> None:
    code = "import sys, edgebert.bench; print(*{name.split('.')[0] for name in sys.modules})"
    done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True)
    before = subprocess.run(
        [sys.executable, "-I", "-c", "import sys; print(*{name.split('.')[0] for name in sys.modules})"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    added = set(done.stdout.split()) - set(before.stdout.split()) - sys.stdlib_module_names
    assert added <= {"edgebert", "numpy", "tokenizers"}
