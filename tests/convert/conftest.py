"""One small checkpoint, and every artifact of it, made once for all tests of the converter."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from edgebert.convert.checkpoint import Checkpoint
    from edgebert.convert.exporters import Exported, ExportJob

BUCKETS = (8, 16, 64)


@pytest.fixture(scope="session")
def small_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint on disk: three labels, two layers, 64 tokens."""
    for name in ("torch", "transformers", "optimum"):
        pytest.importorskip(name)
    from tests.convert import models

    return models.save(models.trained_model(), tmp_path_factory.mktemp("small") / "checkpoint")


@pytest.fixture(scope="session")
def small(small_folder: Path) -> Checkpoint:
    from edgebert.convert.checkpoint import load_checkpoint

    return load_checkpoint(str(small_folder))


@dataclass
class Exports:
    """Artifacts of the small checkpoint, each exported when it is first asked for."""

    job: ExportJob
    folder: Path
    _made: dict[str, tuple[Path, Exported]] = field(default_factory=dict)

    def __call__(self, artifact: str, export: Callable[..., Exported] | None = None) -> tuple[Path, Exported]:
        """The artifact's folder and what its exporter (or ``export``) says of it; skips where a library is missing."""
        from edgebert.convert.exporters import exporter_for

        if artifact not in self._made:
            backend, precision = artifact.split("-")
            for library in {
                "onnx": ["onnx", "onnxscript", "onnxruntime"],
                "openvino": ["onnx", "openvino", "nncf"],
                "tensorrt": ["onnx", "onnxscript", "onnxruntime"],
            }.get(backend, ["litert_torch", "ai_edge_quantizer", "ai_edge_litert"]):
                pytest.importorskip(library)
            target = self.folder / artifact
            target.mkdir()
            self._made[artifact] = target, (export or exporter_for(backend).export)(self.job, precision, target)
        return self._made[artifact]


@pytest.fixture(scope="session")
def exports(small: Checkpoint, tmp_path_factory: pytest.TempPathFactory) -> Exports:
    from edgebert.convert.exporters import ExportJob
    from edgebert.convert.graph import Graph
    from edgebert.convert.probes import calibration_inputs
    from edgebert.runtime.tokenization import TextTokenizer
    from tests.convert import models

    tokenizer = TextTokenizer(small.tokenizer_json, max_length=small.max_length)
    job = ExportJob(
        graph=Graph(small),
        max_length=small.max_length,
        buckets=BUCKETS,
        calibration=calibration_inputs(small.task, tokenizer, [text for text, _ in models.opinions(64)], small.pad_id),
        scratch=tmp_path_factory.mktemp("scratch"),
        workspace_mb=64,
    )
    return Exports(job, tmp_path_factory.mktemp("artifacts"))


@pytest.fixture(scope="session")
def open_artifact(exports: Exports) -> Callable[..., Any]:
    """Opens an artifact of the small checkpoint, or other files in its place, in its real engine."""
    from edgebert.bundle.schema import Artifact, Headline
    from edgebert.devices import find_runtimes
    from edgebert.runtime.engines import build_engine

    def open_(artifact: str, folder: Path | None = None) -> Any:
        exported_to, exported = exports(artifact)
        backend, precision = artifact.split("-")
        described = Artifact(
            id=artifact,
            backend=backend,
            precision=precision,
            quantization=exported.quantization,
            shapes=exported.shapes,
            files=(),
            requires=exported.requires,
            tolerance=1.0,
            evidence=Headline(0.0, 0.0),
        )
        files = sorted((folder or exported_to).iterdir())
        return build_engine(described, files, 1, find_runtimes(backend)[0])

    return open_
