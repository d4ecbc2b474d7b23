"""What the tests of the pipeline share besides fixtures."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("optimum")
pytest.importorskip("onnxscript")
pytest.importorskip("onnxruntime")

from edgebert.convert.report import Outcome, Report
from tests.convert import models

ONNX = ("onnx-fp32", "onnx-int8")
EXAMPLES = models.opinions(48, seed=7)
"""The evaluation file."""

Harm = Callable[[Path], None]


class Recorder:
    """Remembers the stages, and interrupts one of them."""

    def __init__(self, interrupt: int | None = None) -> None:
        self.seen: list[tuple[str, str | None]] = []
        self._interrupt = interrupt

    def stage(self, name: str, artifact: str | None = None) -> None:
        self.seen.append((name, artifact))
        if len(self.seen) == self._interrupt:
            raise KeyboardInterrupt

    def finished(self, artifact: str, status: str) -> None:
        self.seen.append((status, artifact))
        if len(self.seen) == self._interrupt:
            raise KeyboardInterrupt


def left(tmp_path: Path) -> list[str]:
    return sorted(os.listdir(tmp_path / "out"))  # noqa: PTH208 (hidden ones too)


def outcomes(report: Any) -> dict[str, Outcome]:
    assert isinstance(report, Report)
    return {outcome.id: outcome for outcome in report.artifacts}
