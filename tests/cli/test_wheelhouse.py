"""``edgebert wheelhouse``: what it prints, refuses and leaves behind."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("packaging", reason="`edgebert wheelhouse` needs it")

from edgebert.convert.wheelhouse import house
from tests.cli.command import Result, start
from tests.convert.wheelhouse import index

Edgebert = Callable[..., Result]


@pytest.fixture
def target(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A target whose runtime is in the index that pip sees, and EdgeBERT's wheel."""
    folder = tmp_path_factory.mktemp("index")
    index.fill(folder)
    project = index.edgebert(tmp_path_factory.mktemp("project"))
    monkeypatch.setattr(house, "build_project_wheel", lambda pip, scratch: project)
    for name, value in {"CONFIG_FILE": "/dev/null", "NO_INDEX": "1", "FIND_LINKS": str(folder)}.items():
        monkeypatch.setenv(f"PIP_{name}", value)
    from tests.convert import models

    path = Path(models.write_target(tmp_path_factory.mktemp("target") / "board", ["onnx-fp32"]))
    text = (path / "target.toml").read_text()
    (path / "target.toml").write_text(
        text.replace("install edgebert'", "install edgebert[tflite]'").replace('"x86_64", ', "")
    )
    return path


def test_it_tells_its_steps_and_the_result(edgebert: Edgebert, target: Path, tmp_path: Path) -> None:
    result = edgebert("wheelhouse", "-t", target, "-o", "house", "--python", "3.11", "--lean")
    assert result.code == 0, result
    host = "Python 3.11 on aarch64 with glibc"
    assert result.progress == ["making EdgeBERT's wheel", f"{host}: choosing versions", f"{host}: downloading 4 wheels"]
    assert result.messages == ""
    assert result.out.startswith("Wrote house: 5 wheels, ")
    assert "house/INSTALL.txt" in result.out
    assert len(list((tmp_path / "house").glob("*.whl"))) == 5


def test_refusals(edgebert: Edgebert, target: Path, tmp_path: Path) -> None:
    assert "Python 3.12 on aarch64" in edgebert(
        "wheelhouse", "-t", target, "-o", "house", "--python", "3.12", "--runtime", "tflite-runtime"
    ).refusal()  # fmt: skip
    assert "no wheelhouse for android" in edgebert("wheelhouse", "-t", "android", "-o", "house").refusal()
    assert "There is no target 'arm64'" in edgebert("wheelhouse", "-t", "arm64", "-o", "house").refusal()
    assert "goes with --lean" in edgebert(
        "wheelhouse", "-t", target, "-o", "house", "--without-tokenizers"
    ).usage_error()  # fmt: skip
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "house").mkdir()
    assert "exists already" in edgebert("wheelhouse", "-t", target, "-o", "house").refusal()


def test_ctrl_c_leaves_nothing(tmp_path: Path) -> None:
    """Sent to the whole process group, as a terminal does: pip gets it too."""
    arguments = ["wheelhouse", "-t", "arm64-linux", "-o", "house"]
    process = start(*arguments, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stderr is not None
    assert b"making EdgeBERT's wheel" in process.stderr.readline()
    assert len(list(tmp_path.iterdir())) == 1
    os.killpg(process.pid, signal.SIGINT)
    _, said = process.communicate()
    assert (process.returncode, said) == (130, b"\nInterrupted: nothing is left half-written.\n")
    assert list(tmp_path.iterdir()) == []
