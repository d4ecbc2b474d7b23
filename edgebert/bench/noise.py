"""Signs that figures are not to be trusted: the machine had other work, or they spread widely."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from edgebert.bench.report import ArtifactResult, Measurements
from edgebert.bench.stats import Latency

MAX_IDLE_LOAD = 0.25
"""The 1-minute load average per logical core below which a machine counts as idle."""

MAX_DRIFT = 0.15
"""How far apart the medians of the rounds may lie, as a share of the overall median."""

MAX_SPREAD = 0.5
"""How far apart the 5th and the 95th percentile of a latency may lie, as a share of the median."""


def find_noise(
    before: Sequence[float] | None, after: Sequence[float] | None, cores: int, results: Sequence[ArtifactResult]
) -> tuple[str, ...]:
    """Why the figures are not to be trusted, a sentence each; empty when nothing speaks against them.

    Args:
        before: the load averages (1 minute first) before the run; ``None`` where unknown.
        after: the same after it; the benchmark's own threads are in it, one worker at a time.
        cores: logical cores.
        results: what was measured.
    """
    sentences = []
    measured = [(result.id, result.measurements) for result in results if result.measurements is not None]
    own = max((m.facts.threads for _, m in measured), default=0)
    idle = MAX_IDLE_LOAD * cores
    if before is not None and before[0] > idle:
        sentences.append(f"the load average was {before[0]:.2f} before the run: something else runs, or just ran")
    if after is not None and after[0] > own + idle:
        sentences.append(f"the load average was {after[0]:.2f} after the run, which used {own} threads at a time")
    sentences += [f"{artifact}: {sign}" for artifact, m in measured if (sign := _worst_sign(m)) is not None]
    sentences += [f"{artifact}: {sign}" for artifact, m in measured for sign in _throttling(m)]
    return tuple(sentences)


def _worst_sign(measurements: Measurements) -> str | None:
    drift, where = max(_drifts(measurements))
    if drift > MAX_DRIFT:
        return f"the medians of the rounds lie {drift:.0%} apart ({where})"
    spread, tokens = max((_spread(latency), tokens) for tokens, latency in measurements.latency_ms.items())
    if spread > MAX_SPREAD:
        return f"p5 and p95 lie {spread:.0%} of the median apart (latency, {tokens} tokens)"
    return None


def _throttling(measurements: Measurements) -> Iterable[str]:
    """The first sign of throttling, and in how many rounds there are any."""
    throttled = [heat.signs for heat in measurements.thermal if heat.signs]
    if throttled:
        rounds = len(measurements.thermal)
        yield f"the machine throttled in {len(throttled)} of {rounds} rounds: {throttled[0][0]}"


def _drifts(measurements: Measurements) -> Iterable[tuple[float, str]]:
    for tokens, latency in measurements.latency_ms.items():
        yield latency.drift, f"latency, {tokens} tokens"
    yield measurements.texts_per_second.drift, "throughput"


def _spread(latency: Latency) -> float:
    return (latency.p95 - latency.p5) / latency.p50
