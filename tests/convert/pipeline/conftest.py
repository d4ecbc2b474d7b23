"""A conversion that is quick: the exporters' work is done once, by the real ones, and copied."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from edgebert.convert.exporters import Exported, ExportJob
    from edgebert.convert.report import Report
    from tests.convert.conftest import Exports
    from tests.convert.pipeline.support import Harm


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Calibration texts, an evaluation file, and targets."""
    from tests.convert import models
    from tests.convert.pipeline.support import EXAMPLES, ONNX

    folder = tmp_path_factory.mktemp("files")
    models.write_texts(folder / "calibration.txt", models.opinions(48))
    models.write_eval(folder / "dev.tsv", EXAMPLES)
    models.write_target(folder / "onnx", ONNX)
    models.write_target(folder / "fp32", ONNX[:1], name="fp32-board")
    models.write_target(folder / "all", models.ALL_ARTIFACTS, name="all-board")
    return folder


@pytest.fixture
def harm() -> dict[str, Harm | BaseException]:
    """Artifact -> what is done to its files after the export, or what its exporter raises instead."""
    return {}


@pytest.fixture
def copied(monkeypatch: pytest.MonkeyPatch, exports: Exports, harm: dict[str, Harm | BaseException]) -> list[str]:
    """Exporters give what the real ones made of the same checkpoint. Holds what has been exported."""
    exported: list[str] = []

    def patch(backend: str) -> None:
        module = import_module(f"edgebert.convert.exporters.{backend}")
        real = module.export

        def export(job: ExportJob, precision: str, directory: Path) -> Exported:
            name = f"{backend}-{precision}"
            exported.append(name)
            folder, described = exports(name, real)
            damage = harm.get(name)
            if isinstance(damage, BaseException):
                (directory / "half-written").write_bytes(b"half")
                os.write(2, f"the converter of {name} gives up\n".encode())
                raise damage
            shutil.copytree(folder, directory, dirs_exist_ok=True)
            if damage is not None:
                damage(directory)
            return described

        monkeypatch.setattr(module, "export", export)

    for backend in ("onnx", "openvino", "tflite"):
        try:
            patch(backend)
        except ImportError:  # a test that needs it is skipped by `exports`
            continue
    return exported


@pytest.fixture
def run(small_folder: Path, files: Path, tmp_path: Path, copied: list[str]) -> Callable[..., Report]:
    """``convert`` with what these tests share; the bundle is ``out/tiny.edgebert``."""
    from edgebert.convert.pipeline import convert

    def call(**options: Any) -> Report:
        (tmp_path / "out").mkdir(exist_ok=True)
        defaults: dict[str, Any] = {
            "source": str(small_folder),
            "out": tmp_path / "out" / "tiny.edgebert",
            "targets": [str(files / "onnx")],
            "calibration": files / "calibration.txt",
        }
        return convert(**{**defaults, **options})

    return call


@pytest.fixture(scope="session")
def good(
    small_folder: Path, files: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Report, list[tuple[str, str | None]]]:
    """The real exporters, all of them: the bundle, the evidence, and the steps that were told."""
    from edgebert.convert.pipeline import convert
    from tests.convert.pipeline.support import Recorder

    for library in ("openvino", "nncf", "litert_torch", "ai_edge_quantizer", "ai_edge_litert"):
        pytest.importorskip(library)
    out = tmp_path_factory.mktemp("good") / "tiny.edgebert"
    recorder = Recorder()
    report = convert(
        str(small_folder),
        out,
        targets=[str(files / "all"), str(files / "onnx")],
        evaluation=files / "dev.tsv",
        calibration=files / "calibration.txt",
        command=("edgebert", "convert", "tiny"),
        progress=recorder,
    )
    return out, report, recorder.seen
