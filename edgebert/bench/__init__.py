"""Measuring the artifacts of a bundle on this machine: speed, memory, energy, heat and accuracy.

``docs/reference/benchmark.md`` explains the protocol. Like the runtime, this package needs numpy, tokenizers and one
backend.
"""

from __future__ import annotations

from edgebert.bench.energy import EnergyMeter, Unavailable, open_meter
from edgebert.bench.inputs import read_texts
from edgebert.bench.measure import run_benchmark
from edgebert.bench.progress import Step
from edgebert.bench.report import ArtifactResult, BenchmarkReport, Measurements
from edgebert.bench.stats import Interval, Latency, Rounds

__all__ = [
    "ArtifactResult",
    "BenchmarkReport",
    "EnergyMeter",
    "Interval",
    "Latency",
    "Measurements",
    "Rounds",
    "Step",
    "Unavailable",
    "open_meter",
    "read_texts",
    "run_benchmark",
]
