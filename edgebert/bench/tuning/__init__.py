"""Finding out how a bundle runs best on this machine: which artifact, with how many threads, by measurement."""

from __future__ import annotations

from edgebert.bench.tuning.pipeline import tune
from edgebert.bench.tuning.report import TuningReport, render

__all__ = ["TuningReport", "render", "tune"]
