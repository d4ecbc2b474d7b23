"""``edgebert compress`` as a user runs it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

for library in ("torch", "transformers", "accelerate", "optimum", "onnx", "onnxscript", "onnxruntime", "rich"):
    pytest.importorskip(library, reason="`edgebert compress` needs it")

from tests.cli.command import Result, run, start  # noqa: E402
from tests.compress.distillation.checkpoints import save_distilbert, write_data  # noqa: E402

Edgebert = Callable[..., Result]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return write_data(tmp_path, "text-classification")


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ((), "Give --search"),
        (("--search",), "--search needs --data FILE"),
        (("--search", "--data", "x.tsv"), "--search needs --eval FILE"),
        (("--search", "--budget", "soon"), "'soon' is no time such as 90s, 30m or 2h"),
        (("--search", "--budget", "-5m"), "'-5m' is no time"),
    ],
)
def test_wrong_usage(options: tuple[str, ...], reason: str, edgebert: Edgebert) -> None:
    assert reason in edgebert("compress", "checkpoint", "-o", "found", *options).usage_error()


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (("--data", "none.tsv"), "none.tsv: cannot be read"),
        (("--eval", "none.tsv"), "none.tsv: cannot be read"),
        (("--target", "toaster"), "toaster"),
        (("--budget", "0"), "budget=0 s is not allowed"),
        (("-o", "mine"), "mine' exists already"),
        (("-o", "mine", "--resume"), "mine' exists and is not the folder of a search"),
        (("-o", "no/where"), "is no folder"),
    ],
)
def test_one_error_and_a_hint(
    options: tuple[str, ...], reason: str, edgebert: Edgebert, data: Path, tmp_path: Path
) -> None:
    save_distilbert(tmp_path / "model")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/thesis.txt").write_text("mine")
    before = sorted(path.name for path in tmp_path.rglob("*"))
    given = [option for option, value in (("--data", data), ("--eval", data), ("-o", "found")) if option not in options]
    defaults = {"--data": data, "--eval": data, "-o": "found"}
    arguments = [part for option in given for part in (option, defaults[option])]
    assert reason in edgebert("compress", "model", "--search", *arguments, *options).refusal()
    assert sorted(path.name for path in tmp_path.rglob("*")) == before


def test_a_budget_too_short(edgebert: Edgebert, data: Path, tmp_path: Path) -> None:
    save_distilbert(tmp_path / "model")
    arguments = ["--search", "--data", data, "--eval", data, "-o", "found", "--budget", "0.1s"]
    assert "is too short: the checkpoint itself" in edgebert("compress", "model", *arguments).refusal()
    assert not (tmp_path / "found").exists()


def test_ctrl_c(data: Path, tmp_path: Path) -> None:
    save_distilbert(tmp_path / "model")
    arguments = ["compress", "model", "--search", "--data", data.name, "--eval", data.name, "-o", "found"]
    process = start(*arguments, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stderr is not None
    for line in process.stderr:
        if line.endswith(b"] checkpoint: converting\n"):
            break
    os.kill(process.pid, signal.SIGINT)
    out, err = process.communicate()
    assert (process.returncode, out) == (130, b"")
    assert err.decode().strip() == "Interrupted: nothing is left half-written."
    assert not (tmp_path / "found").exists()  # nothing was finished


def test_ctrl_c_when_something_is_kept(
    edgebert: Edgebert, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from edgebert.compress.search import search

    def interrupted(*arguments: object, **options: object) -> None:
        (tmp_path / "found").mkdir()
        raise KeyboardInterrupt

    monkeypatch.setattr(search, "search", interrupted)
    monkeypatch.setattr(signal, "signal", lambda *arguments: None)  # what main does at the end would last
    done = edgebert("compress", "model", "--search", "--data", data, "--eval", data, "-o", "found")
    assert (done.code, done.out) == (130, "")
    assert done.err.startswith("What is finished is kept in 'found': the same command with --resume goes on.\n")


@pytest.mark.full  # minutes: a search with real commands, each of which loads the libraries
def test_a_search_that_is_interrupted_and_goes_on(checkpoint: Path, board: str, tmp_path: Path) -> None:
    from tests.convert import models

    models.write_eval(tmp_path / "train.tsv", models.opinions(200, seed=0))
    models.write_eval(tmp_path / "dev.tsv", models.opinions(64, seed=1))
    given = ["compress", checkpoint, "--search", "--data", "train.tsv", "--eval", "dev.tsv", "-o", "found"]
    given += ["--target", board, "--budget", "1h"]
    process = start(*given, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stderr is not None
    for line in process.stderr:
        if line.endswith(b"] trim-4: converting\n"):
            break
    os.kill(process.pid, signal.SIGINT)
    _, err = process.communicate()
    assert process.returncode == 130, err
    assert b"'found': the same command with --resume goes on" in err and b"Traceback" not in err
    done = run(*given, "--resume", "--json", cwd=tmp_path)
    assert done.code == 0, done
    assert "checkpoint: converting" not in done.progress and "trim: converting" not in done.progress
    assert "trim-4: converting" in done.progress
    found = json.loads(done.out)
    assert found == json.loads((tmp_path / "found/frontier.json").read_text())
    points = {point["name"]: point for point in found["points"]}
    assert {point["status"] for point in points.values()} == {"measured"}, found
    assert all(point["latency"]["p50"] > 0 for point in points.values())
    assert points["trim-layers-1"]["steps"] == 500 and points["trim-layers-1"]["score"] > 0.9
    assert points["trim-layers-1"]["parameters"] < points["checkpoint"]["parameters"]
    assert (tmp_path / "found/frontier.html").read_text().count("<svg") == 2
