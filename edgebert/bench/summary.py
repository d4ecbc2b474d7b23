"""From what the workers of one artifact answered to its result."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from edgebert.bench.launch import Crash
from edgebert.bench.report import CANNOT_RUN, CRASHED, FAILED, MEASURED, ArtifactResult, Measurements
from edgebert.bench.stats import Latency, Rounds
from edgebert.bench.trial import Refusal, Trial
from edgebert.runtime.selection import Candidate


def summarize(
    candidate: Candidate,
    trials: Sequence[Trial],
    failure: Refusal | Crash | None,
    *,
    lengths: Sequence[int],
    text_count: int,
) -> ArtifactResult:
    """What became of one artifact.

    Args:
        candidate: the artifact, and whether it can run here.
        trials: what its processes measured; not empty if it can run and did not fail.
        failure: how the one that failed did so.
        lengths: the input lengths in tokens, in the order of ``Trial.latencies_ms``.
        text_count: how many texts were streamed.
    """
    artifact = candidate.artifact
    result = ArtifactResult(
        id=artifact.id,
        backend=artifact.backend,
        precision=artifact.precision,
        quantization=artifact.quantization,
        bytes=sum(file.size for file in artifact.files),
        status=MEASURED,
    )
    if candidate.runtime is None:
        install = f" ({candidate.install})" if candidate.install else ""
        return replace(result, status=CANNOT_RUN, reason=f"{candidate.reason}{install}")
    if isinstance(failure, Refusal):
        return replace(result, status=FAILED, reason=failure.message)
    if isinstance(failure, Crash):
        return replace(result, status=CRASHED, reason=failure.reason, log=failure.log)
    return replace(result, measurements=_measurements(trials, lengths, text_count))


def _measurements(trials: Sequence[Trial], lengths: Sequence[int], text_count: int) -> Measurements:
    phases = [(t.interpreter_ms, t.import_ms, t.load_ms, t.first_answer_ms) for t in trials]
    first_rss = [t.first_answer_rss for t in trials if t.first_answer_rss is not None]
    peak_rss = [t.peak_rss for t in trials if t.peak_rss is not None]
    return Measurements(
        facts=trials[0].facts,
        interpreter_ms=Rounds.of([phase[0] for phase in phases]),
        import_ms=Rounds.of([phase[1] for phase in phases]),
        load_ms=Rounds.of([phase[2] for phase in phases]),
        first_answer_ms=Rounds.of([phase[3] for phase in phases]),
        total_ms=Rounds.of([sum(phase) for phase in phases]),
        latency_ms={n: Latency.of([t.latencies_ms[i] for t in trials]) for i, n in enumerate(lengths)},
        texts_latency_ms=Latency.of([t.sample_ms for t in trials]),
        texts_per_second=Rounds.of([text_count / t.stream_seconds for t in trials]),
        first_answer_rss_bytes=int(np.median(first_rss)) if first_rss else None,
        peak_rss_bytes=max(peak_rss, default=None),
    )
