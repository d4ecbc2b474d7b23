"""What every exporter implements, and what it is given."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from torch import nn

from edgebert.bundle.schema import Requires, Shapes

TokenArrays = tuple[NDArray[np.int32], NDArray[np.int32]]
"""``input_ids`` and ``attention_mask``, int32 [batch, length]."""

INPUT_NAMES = ("input_ids", "attention_mask")
OUTPUT_NAME = "logits"


@dataclass(frozen=True)
class ExportJob:
    """One conversion, as its exporters see it.

    Attributes:
        graph: the export graph, in evaluation mode.
        max_length: the longest input in tokens.
        buckets: lengths for static-shape formats, ascending, the last one at most ``max_length``.
        calibration: inputs of batch 1 and varied length that stand for what the model will be served.
        scratch: a folder for intermediate files, deleted after the conversion.
    """

    graph: nn.Module
    max_length: int
    buckets: tuple[int, ...]
    calibration: Sequence[TokenArrays]
    scratch: Path
    _made: dict[str, Path] = field(default_factory=dict)

    def intermediate(self, name: str, make: Callable[[Path], None]) -> Path:
        """The folder ``name`` of intermediate files, filled by ``make`` on the first call and shared afterwards."""
        if name not in self._made:
            folder = self.scratch / name
            folder.mkdir()
            try:
                make(folder)
            except BaseException:  # the next artifact that needs it must not find half of it
                shutil.rmtree(folder, ignore_errors=True)
                raise
            self._made[name] = folder
        return self._made[name]


@dataclass(frozen=True, slots=True)
class Exported:
    """What an exporter wrote: how it is shaped, what runs it, and how its numbers are stored and computed."""

    shapes: Shapes
    requires: Requires
    quantization: str


class Exporter(Protocol):
    """Writes artifacts of one backend. A module of this package with these names is an exporter."""

    PRECISIONS: tuple[str, ...]
    TOOLS: tuple[str, ...]
    """Distributions whose versions belong into the provenance."""

    def export(self, job: ExportJob, precision: str, directory: Path) -> Exported:
        """Write the artifact's files into ``directory``, which exists and is empty."""
