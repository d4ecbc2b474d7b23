"""An index in a folder, EdgeBERT's wheel, a target, and everything that a refusal may have left behind."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("packaging", reason="`edgebert wheelhouse` needs it")

from edgebert.convert.target import Target, load_target
from edgebert.convert.wheelhouse.pip import Pip
from edgebert.convert.wheelhouse.project import build_project_wheel
from edgebert.errors import OutputError
from tests.convert.wheelhouse import index

TARGET = """
name = "board"
title = "A board"
[device]
architectures = ["aarch64"]
memory_mb = 900
[[artifact]]
backend = "onnx"
precision = "fp32"
[runtime]
install = {install}
[gate.fp32]
min_label_agreement = 1.0
max_metric_drop = 0.0
"""


@pytest.fixture(scope="session")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("index")
    index.fill(folder)
    return folder


@pytest.fixture
def offline(wheels: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Pip sees this folder and nothing else."""
    for name, value in {"CONFIG_FILE": "/dev/null", "NO_INDEX": "1", "FIND_LINKS": str(wheels)}.items():
        monkeypatch.setenv(f"PIP_{name}", value)
    return wheels


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return index.edgebert(tmp_path_factory.mktemp("project"))


@pytest.fixture
def make_target(tmp_path: Path) -> Callable[[str], Target]:
    """A target with these install lines, as TOML."""

    def make(install: str) -> Target:
        path = tmp_path / "target.toml"
        path.write_text(TARGET.format(install=install))
        target = load_target(str(path))
        path.unlink()
        return target

    return make


@pytest.fixture
def target(make_target: Callable[[str], Target]) -> Target:
    return make_target("""'pip install "edgebert[tflite]"  # the lot'""")


@pytest.fixture(scope="session")
def whole_wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """EdgeBERT's real one, built from this checkout."""
    folder = tmp_path_factory.mktemp("whole")
    try:
        return build_project_wheel(Pip(folder), folder)
    except OutputError as error:
        if "reaches no package index" in error.message:
            pytest.skip(f"the wheel is built with setuptools from the index: {error.message}")
        raise
