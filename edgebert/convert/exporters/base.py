"""What every exporter implements, and what it is given."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import torch

from edgebert.bundle.schema import Requires, Shapes
from edgebert.convert.graph import Graph, Inputs


@dataclass(frozen=True)
class ExportJob:
    """One conversion, as its exporters see it.

    Attributes:
        graph: the export graph.
        max_length: the longest input in tokens.
        buckets: lengths for static-shape formats, ascending, the last one at most ``max_length``.
        calibration: inputs of batch 1 and varied length that stand for what the model will be served.
        scratch: a folder for intermediate files, deleted after the conversion.
        workspace_mb: memory for a TensorRT kernel, in 10^6 bytes; ``None`` when no target asks for TensorRT.
    """

    graph: Graph
    max_length: int
    buckets: tuple[int, ...]
    calibration: Sequence[Inputs]
    scratch: Path
    workspace_mb: int | None = None
    _made: dict[str, Path] = field(default_factory=dict)

    def example(self, batch: int, length: int, positions: int) -> dict[str, torch.Tensor]:
        """Inputs to trace the graph with. No two are one tensor: an exporter would merge them into one graph input."""
        sizes = {"positions": positions}
        return {name: torch.ones(batch, sizes.get(name, length), dtype=torch.int32) for name in self.graph.inputs}

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
class StandIn:
    """What measures an artifact whose own backend no build host has.

    ``backend`` and ``requires`` are those of the artifact as it is measured; ``remarks`` stand beside the measurement.
    """

    backend: str
    requires: Requires
    remarks: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Exported:
    """What an exporter wrote: how it is shaped, what runs it, and how its numbers are stored and computed."""

    shapes: Shapes
    requires: Requires
    quantization: str
    stand_in: StandIn | None = None


class Exporter(Protocol):
    """Writes artifacts of one backend. A module of this package with these names is an exporter."""

    PRECISIONS: tuple[str, ...]
    TOOLS: tuple[str, ...]
    """Distributions whose versions belong into the provenance."""

    def export(self, job: ExportJob, precision: str, directory: Path) -> Exported:
        """Write the artifact's files into ``directory``, which exists and is empty."""
