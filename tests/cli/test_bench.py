"""``edgebert bench`` as a user runs it."""

from __future__ import annotations

import io
import json
import re
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from edgebert.bench import Step
from edgebert.cli.bench_progress import BenchProgress
from tests.cli.command import Result

Edgebert = Callable[..., Result]
QUICK = ["--artifact", "onnx-fp32", "--length", "8", "--repetitions", "2"]


def test_a_precision_a_budget_and_an_evaluation_file(edgebert: Edgebert, bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "dev.tsv").write_text("sentence\tlabel\ngood\tPOSITIVE\nbad film\t0\n", encoding="utf-8")
    # Nothing is as sure as that: the budget ends it.
    sure = ["--precision", "0.000001", "--budget", "1s", "--rounds", "1"]
    result = edgebert("bench", bundle, *QUICK, *sure, "--eval", "dev.tsv", "--json", "--out", "result.json")
    assert result.code == 0, result
    said = [line.partition(" (about")[0] for line in result.err.splitlines()]
    assert said[0] == "round 1 of 1: onnx-fp32"
    assert said[-2:] == ["what executes: onnx-fp32", "accuracy on dev.tsv: onnx-fp32"]
    report = json.loads(result.out)
    assert report == json.loads((tmp_path / "result.json").read_text(encoding="utf-8"))
    assert report["course"]["ended"] == "budget"
    assert (report["plan"]["precision"], report["plan"]["budget_seconds"]) == (1e-6, 1.0)
    [artifact] = report["artifacts"]
    assert artifact["measurements"]["accuracy"]["scores"][0]["metric"] == "accuracy"
    assert artifact["measurements"]["executed"]["execution"]["operators"]


def test_the_table_and_no_progress(edgebert: Edgebert, bundle: Path) -> None:
    result = edgebert("bench", bundle, *QUICK, "--rounds", "2", "--quiet")
    assert (result.code, result.err) == (0, "")
    for title in ("Start-up in ms", "Latency in ms", "Throughput on the texts", "What ran"):
        assert title in result.out


def test_what_makes_no_sense_is_refused(edgebert: Edgebert, bundle: Path, tmp_path: Path) -> None:
    before = sorted(tmp_path.iterdir())
    assert "'soon' is no time such as" in edgebert("bench", bundle, "--budget", "soon").usage_error()
    assert "budget=0.0 is not allowed." in edgebert("bench", bundle, "--budget", "0s").refusal()
    assert "--precision" in edgebert("bench", bundle, "--precision", "2").usage_error()
    (tmp_path / "dev.tsv").write_text("sentence\tlabel\ngood\tGREAT\n", encoding="utf-8")
    refusal = edgebert("bench", bundle, *QUICK, "--eval", "dev.tsv").refusal()
    assert "dev.tsv, line 2: unknown label 'GREAT'" in refusal
    (tmp_path / "dev.tsv").unlink()
    assert sorted(tmp_path.iterdir()) == before


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def until(shown: Terminal, pattern: str) -> bool:
    deadline = time.monotonic() + 10
    while not re.search(pattern, shown.getvalue()) and time.monotonic() < deadline:
        time.sleep(0.02)
    return re.search(pattern, shown.getvalue()) is not None


def test_a_terminal_has_one_live_bar_that_is_cleared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    shown = Terminal()
    progress = BenchProgress(shown)
    try:
        progress.step(Step("round 1 of 3: onnx-int8", 0.0, None))
        assert "[........................]  0%  round 1 of 3: onnx-int8" in shown.getvalue()
        progress.step(Step("round 2 of 3: onnx-int8", 0.5, 30.0))
        assert "[############............] 50%  round 2 of 3: onnx-int8, about 30 s left" in shown.getvalue()
        assert until(shown, r"about 2\d s left")  # it counts down by itself, and may skip a second on a busy machine
    finally:
        progress.close()
    assert "\n" not in shown.getvalue()
    assert shown.getvalue().endswith("\r\x1b[K")
    assert all(len(line) < 100 for line in shown.getvalue().split("\r\x1b[K"))


def test_a_file_has_a_line_for_each_step() -> None:
    shown = io.StringIO()
    progress = BenchProgress(shown)
    progress.step(Step("round 1 of 1: onnx-int8", 0.0, None))
    progress.step(Step("what executes: onnx-int8", 0.8, 2.0))
    progress.close()
    assert shown.getvalue() == "round 1 of 1: onnx-int8\nwhat executes: onnx-int8 (about 2 s left)\n"
