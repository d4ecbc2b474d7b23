"""Reports made up for the tests of what is made of them: the page, comparisons, trackers."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from edgebert.bench.report import (
    ALL_ROUNDS,
    CRASHED,
    MEASURED,
    Accuracy,
    ArtifactResult,
    BenchmarkReport,
    Course,
    Energy,
    Evaluation,
    Executed,
    Measurements,
    Plan,
    Resident,
    Score,
    ThermalRound,
    ThermalState,
)
from edgebert.bench.stats import Latency, Rounds, proportion_interval
from edgebert.devices import Machine
from edgebert.runtime.engines.base import EngineFacts, Execution, Kernel, Operator

LENGTHS = (16, 32, 64, 128)
ARTIFACTS = {
    "onnx-int8": ("onnx", "int8", 67_490_868, 9.0, 774),
    "onnx-fp32": ("onnx", "fp32", 263_156_273, 19.0, 777),
    "openvino-fp16": ("openvino", "fp16", 132_000_000, 21.0, 777),
    "tflite-int8": ("tflite", "int8", 66_900_000, 12.5, 768),
}
"""Backend, precision, bytes, milliseconds of 32 tokens, right answers of 872."""


def rounds_of(rng: np.random.Generator, scale: float, rounds: int, noise: float = 0.02) -> tuple[float, ...]:
    """One value per round; rounds differ by ``noise``, the standard deviation of their logarithm."""
    return tuple(float(value) for value in scale * np.exp(rng.normal(0, noise, rounds)))


def latency(rng: np.random.Generator, scale: float, rounds: int, repetitions: int, noise: float = 0.02) -> Latency:
    """Samples of a round differ by 4 % and are slower now and then; rounds differ as in :func:`rounds_of`."""
    samples = []
    for centre in rounds_of(rng, scale, rounds, noise):
        values = centre * np.exp(rng.normal(0, 0.04, repetitions)) * (1 + 0.5 * (rng.random(repetitions) < 0.03))
        samples.append([float(value) for value in values])
    return Latency.of(samples)


def measurements(
    name: str, *, seed: int = 0, rounds: int = 3, repetitions: int = 30, slower: float = 1.0, noise: float = 0.02,
    lengths: Sequence[int] = LENGTHS, **changes: Any,
) -> Measurements:  # fmt: skip
    backend, _, size, ms, right = ARTIFACTS[name]
    rng = np.random.default_rng([seed, list(ARTIFACTS).index(name)])
    ms *= slower

    def once(scale: float) -> Rounds:
        return Rounds.of(rounds_of(rng, scale, rounds, noise))

    start_up = [once(scale) for scale in (18.0, 60.0, 0.6 * size / 1e6 + 90, 1.4 * ms)]
    value = right / 872
    cool = ThermalState({"cpu": 44.0}, {"cpu0": 2100.0}, {"cpu0": 2400.0}, {})
    warm = ThermalState({"cpu": 61.5}, {"cpu0": 2050.0}, {"cpu0": 2400.0}, {})
    plain = Measurements(
        facts=EngineFacts(name, backend, {"onnx": "onnxruntime"}.get(backend, backend), "1.22.0", 2, "CPU", {}),
        executed=Executed(32, Execution((Operator(24, "MatMul<>", "float32", "CPU"),), (Kernel(3, "qd8"),), "")),
        interpreter_ms=start_up[0],
        import_ms=start_up[1],
        load_ms=start_up[2],
        first_answer_ms=start_up[3],
        total_ms=Rounds.of([sum(parts) for parts in zip(*(part.values for part in start_up), strict=True)]),
        latency_ms={n: latency(rng, ms * (0.3 + 0.7 * n / 32), rounds, repetitions, noise) for n in lengths},
        texts_latency_ms=latency(rng, ms, rounds, repetitions, noise),
        tokenization_ms={n: once(0.05 + n / 1000) for n in lengths},
        texts_tokenization_ms=once(0.08),
        texts_per_second=once(1000 / ms),
        first_answer_rss_bytes=size + 90_000_000,
        peak_rss_bytes=size + 120_000_000,
        resident=Resident(size + 100_000_000, size // 2, size // 2 + 100_000_000, size),
        energy=Energy("powercap", ("package-0",), once(0.3), once(0.2), 4.0),
        thermal=(ThermalRound(cool, warm, ()),) * rounds,
        accuracy=Accuracy((Score("accuracy", value, 777 / 872, value / (777 / 872), proportion_interval(right, 872)),)),
    )
    return dataclasses.replace(plain, **changes)


def artifact(name: str, **changes: Any) -> ArtifactResult:
    backend, precision, size, _, _ = ARTIFACTS[name]
    return ArtifactResult(
        id=name,
        backend=backend,
        precision=precision,
        quantization="weights int8" if precision == "int8" else "none",
        bytes=size,
        stage_bytes=(size,),
        status=MEASURED,
        measurements=measurements(name, **changes),
    )


def crashed(name: str) -> ArtifactResult:
    result = artifact(name)
    log = "what it wrote & <more>"
    return dataclasses.replace(result, status=CRASHED, reason="killed by signal 11", log=log, measurements=None)


def report(*artifacts: ArtifactResult, rounds: int = 3, **changes: Any) -> BenchmarkReport:
    artifacts = artifacts or tuple(artifact(name, rounds=rounds) for name in ARTIFACTS)
    plain = BenchmarkReport(
        bundle="sst2",
        bundle_digest="5ba1" * 16,
        bundle_bytes=700_000_000,
        task="text-classification",
        created="2026-01-02T03:04:05Z",
        machine=Machine("Linux", "x86_64", "AuthenticAMD", "A CPU", frozenset({"avx2"}), 2, 2, 2, 25 * 10**9, 10**9),
        versions={"edgebert": "0.1.0", "python": "3.11.2"},
        settings={"governor": "performance"},
        plan=Plan(
            lengths=LENGTHS,
            repetitions=30,
            rounds=rounds,
            warmup_runs=3,
            batch_size=8,
            threads=None,
            seed=0,
            precision=None,
            budget_seconds=None,
            order=(tuple(a.id for a in artifacts if a.measurements is not None),) * rounds,
            length_order=(LENGTHS,) * rounds,
            texts="built-in",
            text_count=256,
            text_sha256="7e" * 32,
        ),
        course=Course(rounds, 93.0, ALL_ROUNDS, 0.021, "onnx-int8, 16 tokens"),
        evaluation=Evaluation("dev.tsv", "54a9" * 16, 872, "checkpoint"),
        load_average_before=(0.1, 0.1, 0.1),
        load_average_after=(1.0, 0.5, 0.2),
        noise=(),
        untold={"throttling": "no counter is readable"},
        artifacts=artifacts,
    )
    return dataclasses.replace(plain, **changes)
