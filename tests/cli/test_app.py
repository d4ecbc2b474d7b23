"""The command as a whole: help, wrong usage, and errors that nobody foresaw."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest

from edgebert._version import __version__
from edgebert.cli.app import cli
from tests.cli.command import Result, run

Edgebert = Callable[..., Result]
VERBS = ["convert", "predict", "inspect", "verify", "bench", "doctor", "targets", "wheelhouse", "demo"]


def test_help(edgebert: Edgebert) -> None:
    whole = edgebert("--help")
    assert (whole.code, whole.err) == (0, "")
    for verb in VERBS:
        assert f"\n  {verb} " in whole.out
    assert "Exit codes: 0 success; 1 error; 2 wrong usage; 3 an artifact was refused" in whole.out
    assert edgebert("-h").out == whole.out
    assert edgebert("--version").out == f"edgebert, version {__version__}\n"


@pytest.mark.parametrize("verb", VERBS)
def test_every_option_is_explained(verb: str) -> None:
    command = cli.get_command(click.Context(cli), verb)
    assert command is not None
    assert command.help
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            assert parameter.help, parameter.opts
            assert parameter.help.endswith((".", "]")), parameter.opts


def test_wrong_usage(edgebert: Edgebert) -> None:
    assert "No such command 'convret'" in edgebert("convret").usage_error()
    assert "No such option" in edgebert("doctor", "--jsno").usage_error()
    assert edgebert().code == 2


class Surprise(Exception):
    pass


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (Surprise("what is this"), 70, "Internal error: Surprise: what is this\nHint: This is a defect of EdgeBERT."),
        (MemoryError(), 1, "Error: there is not enough memory for this."),
        (OSError(5, "Input/output error", "/disk/file"), 1, "Error: '/disk/file': Input/output error."),
        (OSError(5, "Input/output error"), 1, "Error: The system refused: Input/output error."),
        (ModuleNotFoundError("No module named 'onnx'", name="onnx"), 1,
         "Error: this command needs the Python package onnx, which is not installed.\nHint: On a build host: pip "),
    ],
)  # fmt: skip
def test_unforeseen_errors(
    edgebert: Edgebert, monkeypatch: pytest.MonkeyPatch, error: Exception, code: int, message: str
) -> None:
    def fail(*args: Any) -> None:
        raise error

    monkeypatch.setattr("edgebert.bundle.open_bundle", fail)
    monkeypatch.delenv("EDGEBERT_TRACEBACK", raising=False)
    result = edgebert("inspect", "x.edgebert")
    assert (result.code, result.out) == (code, "")
    assert result.err.startswith(message)
    assert "Traceback" not in result.err
    if code == 70:
        monkeypatch.setenv("EDGEBERT_TRACEBACK", "1")
        assert "Traceback" in edgebert("inspect", "x.edgebert").err


def test_names_that_are_not_utf8_can_be_printed(bundle: Path, tmp_path: Path) -> None:
    bundle.rename(tmp_path / "\udcff.edgebert")
    result = run("inspect", b"\xff.edgebert", cwd=tmp_path)
    assert (result.code, result.err) == (0, "")
    missing = run("inspect", b"\xfe.edgebert", cwd=tmp_path)
    assert missing.refusal().startswith(r"Error: There is no bundle at '\udcfe.edgebert'")


def test_the_device_side_imports_no_converter(bundle: Path, tmp_path: Path) -> None:
    """``predict`` must run where there is no torch."""
    for name in ("torch", "transformers", "optimum", "onnx", "rich"):
        (tmp_path / "hidden" / name).mkdir(parents=True)
        (tmp_path / "hidden" / name / "__init__.py").write_text("raise ImportError('hidden', name=__name__)\n")
    hidden = {"PYTHONPATH": str(tmp_path / "hidden")}
    for arguments in (["predict", bundle, "good"], ["inspect", bundle], ["verify", bundle], ["doctor"], ["targets"]):
        assert run(*arguments, cwd=tmp_path, env=hidden).code == 0, arguments
    result = run("convert", "checkpoint", "-o", "x.edgebert", "-t", "x86-cpu", cwd=tmp_path, env=hidden)
    assert "which is not installed.\nHint: On a build host: pip install" in result.refusal()
