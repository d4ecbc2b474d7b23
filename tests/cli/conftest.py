"""One tiny bundle, one tiny checkpoint, a target for it, and the command run in this process."""

from __future__ import annotations

import shutil
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest

from edgebert.cli import main
from tests.cli.command import Result
from tests.runtime import tiny


@pytest.fixture(scope="session")
def pristine_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two labels; ONNX first, then OpenVINO."""
    folder = tmp_path_factory.mktemp("cli")
    checkpoint = tiny.make_checkpoint("single_label_classification", ("NEGATIVE", "POSITIVE"))
    onnx = tiny.onnx_bytes(checkpoint)
    artifacts = [
        (tiny.artifact("onnx-fp32"), {"model.onnx": onnx}),
        (tiny.artifact("openvino-fp32"), tiny.openvino_files(onnx, folder)),
    ]
    return tiny.write_bundle(folder / "tiny.edgebert", checkpoint, artifacts)


@pytest.fixture
def bundle(pristine_bundle: Path, tmp_path: Path) -> Path:
    """A copy, to be damaged at will, in the folder where the command runs."""
    return Path(shutil.copytree(pristine_bundle, tmp_path / "tiny.edgebert"))


@pytest.fixture(scope="session")
def pristine_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    for name in ("torch", "transformers", "optimum", "onnx", "onnxscript", "rich"):
        pytest.importorskip(name, reason="`edgebert convert` needs it")
    from tests.convert import models

    return models.save(models.trained_model(), tmp_path_factory.mktemp("cli") / "checkpoint")


@pytest.fixture
def checkpoint(pristine_checkpoint: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(pristine_checkpoint, tmp_path / "checkpoint"))


@pytest.fixture
def board(tmp_path: Path) -> str:
    """A user's own target, with ONNX artifacts."""
    from tests.convert import models

    return models.write_target(tmp_path / "board", ["onnx-fp32", "onnx-int8"])


@pytest.fixture
def edgebert(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Callable[..., Result]:
    """``edgebert ARGS`` in this process, which spares each test the import of the libraries; runs in ``tmp_path``."""
    monkeypatch.chdir(tmp_path)

    def run(*args: str | Path) -> Result:
        monkeypatch.setattr(sys, "argv", ["edgebert", *map(str, args)])
        capfd.readouterr()
        with warnings.catch_warnings(), pytest.raises(SystemExit) as stopped:
            warnings.simplefilter("default")
            main()
        out, err = capfd.readouterr()
        assert isinstance(stopped.value.code, int)
        return Result(stopped.value.code, out, err)

    return run
