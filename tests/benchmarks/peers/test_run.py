"""The command, from tiny files to the JSON. Its environments are stand-ins: this Python, and one that always fails."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
from click.testing import CliRunner, Result
from harness.environments import Environments

from tests.benchmarks.peers.conftest import Inputs

Run = Callable[..., Result]


@pytest.fixture(scope="module")
def script() -> ModuleType:
    return importlib.import_module("run")


@pytest.fixture
def envs(tmp_path: Path) -> Path:
    """EdgeBERT is served with this Python; what exports dies with a message."""
    environments = Environments(tmp_path / "envs", print)
    works = f'exec "{sys.executable}" "$@"'
    fails = "echo something >&2; echo 'ImportError: no module torch' >&2; exit 1"
    for name, does in (("edgebert", works), ("onnxruntime", works), ("export", fails)):
        python = environments.folder(name) / "bin" / "python"
        python.parent.mkdir(parents=True)
        python.write_text(f"#!/bin/sh\n{does}\n")
        python.chmod(0o755)
        (environments.folder(name) / "installed.json").write_text('{"stand-in": "1.0"}')
    return tmp_path / "envs"


@pytest.fixture
def run(script: ModuleType, inputs: Inputs, envs: Path, tmp_path: Path) -> Run:
    def call(*more: str, **instead: Path) -> Result:
        given = {"checkpoint": inputs.checkpoint, "data": inputs.data, "bundle": inputs.bundle,
                 "out": tmp_path / "out.json", "envs": envs, **instead}  # fmt: skip
        options = [part for name, value in given.items() for part in (f"--{name}", str(value))]
        return CliRunner().invoke(script.main, [*options, *more])

    return call


QUICK = ("--rounds", "2", "--starts", "1", "--repeat", "2", "--threads", "1")


def test_peers_are_measured_and_one_that_cannot_be_is_said(run: Run, tmp_path: Path) -> None:
    done = run("--peers", "edgebert,edgebert-onnx-int8,script-ort-fp32", "--texts", "12", *QUICK)
    assert done.exit_code == 3, done.output
    result = json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))
    missing = "The files of script-ort-fp32 cannot be made: ImportError: no module torch"
    assert result["peers"]["script-ort-fp32"] == {"kind": "script", "not_measured": missing}
    for name in ("edgebert", "edgebert-onnx-int8"):
        figures = result["peers"][name]
        assert figures["answers"]["texts"] == 12 and figures["answers"]["labels_that_differ"] == 0
        assert 0 <= figures["answers"]["accuracy_alone"] == figures["answers"]["accuracy_bulk"] <= 1
        assert len(figures["latency_ms"]["round_p50"]) == 2 and len(figures["texts_per_second"]["values"]) == 2
    assert result["peers"]["edgebert-onnx-int8"]["facts"]["artifact"] == "onnx-int8"
    assert list(result["comparison"]["ratios"]) == ["edgebert-onnx-int8"]
    assert result["comparison"]["best"]["script"] == {}
    assert "ImportError: no module torch" in result["roofline"]["not_measured"]
    assert result["threads"] == 1 and result["texts"]["count"] == 12
    assert result["environments"]["edgebert"] == {"stand-in": "1.0"}
    assert f"| script-ort-fp32 | not measured: {missing} |" in done.stdout
    assert "| edgebert-onnx-int8 |" in done.stdout and "best edgebert: latency edgebert" in done.stdout
    assert str(tmp_path) not in json.dumps(result["peers"])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["envs", "out.json"]


def test_when_nothing_can_be_measured_there_are_no_results(run: Run, tmp_path: Path) -> None:
    done = run("--peers", "script-ort-int8,script-ort-fp32", *QUICK)
    assert done.exit_code == 1
    assert "Error: No peer could be measured:" in done.output and "no module torch" in done.output
    assert not (tmp_path / "out.json").exists()


def test_what_is_missing_is_said_before_the_work(run: Run, inputs: Inputs, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    for instead, message in (
        ({"checkpoint": empty}, "has no config.json and no model.safetensors and no tokenizer.json"),
        ({"data": empty}, "has no train.tsv"),
        ({"bundle": empty}, "manifest.json"),
        ({"out": tmp_path / "nowhere" / "out.json"}, "there is no folder"),
    ):
        done = run("--peers", "edgebert", **instead)
        assert done.exit_code == 1 and message in done.output and "Traceback" not in done.output
        assert done.output.startswith("Error: ") and "\nHint: " in done.output
    assert run(checkpoint=tmp_path / "nowhere").exit_code == 2


def test_an_unknown_peer_is_refused_with_those_that_there_are(run: Run) -> None:
    done = run("--peers", "somebody")
    assert done.exit_code == 1
    assert "there is no peer somebody" in done.output and "script-ort-int8" in done.output
