"""Measuring the artifacts of a bundle on this machine: start-up, latency, throughput and memory.

``benchmarks/README.md`` explains the protocol. Like the runtime, this package needs numpy, tokenizers and one backend.
"""

from __future__ import annotations

from edgebert.bench.inputs import read_texts
from edgebert.bench.measure import run_benchmark
from edgebert.bench.report import ArtifactResult, BenchmarkReport, Measurements
from edgebert.bench.stats import Latency, Rounds

__all__ = [
    "ArtifactResult",
    "BenchmarkReport",
    "Latency",
    "Measurements",
    "Rounds",
    "read_texts",
    "run_benchmark",
]
