"""From what the workers of one artifact answered to its result."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from edgebert.bench.launch import Crash
from edgebert.bench.report import (
    CANNOT_RUN,
    CRASHED,
    FAILED,
    MEASURED,
    Accuracy,
    ArtifactResult,
    Energy,
    Executed,
    Measurements,
    ThermalRound,
)
from edgebert.bench.stats import Latency, Rounds
from edgebert.bench.thermal import signs_of_throttling
from edgebert.bench.trial import Refusal, Trial
from edgebert.runtime.selection import Candidate


@dataclass(frozen=True, slots=True)
class Meter:
    """What measured the energy of the trials: see :class:`edgebert.bench.report.Energy`."""

    source: str
    domains: tuple[str, ...]
    idle_watts: float


@dataclass(frozen=True, slots=True)
class Examined:
    """What processes beside the trials found out about an artifact."""

    executed: Executed
    accuracy: Accuracy | None


def describe(candidate: Candidate, stage_bytes: Sequence[int]) -> ArtifactResult:
    """An artifact without figures: why this machine cannot run it, if it cannot.

    Args:
        candidate: the artifact, and whether it can run here.
        stage_bytes: the size of its files on disk, of each bundle of a cascade that has it.
    """
    artifact = candidate.artifact
    result = ArtifactResult(
        id=artifact.id,
        backend=artifact.backend,
        precision=artifact.precision,
        quantization=artifact.quantization,
        bytes=sum(stage_bytes),
        stage_bytes=tuple(stage_bytes),
        status=MEASURED,
    )
    if candidate.runtime is None:
        install = f" ({candidate.install})" if candidate.install else ""
        return replace(result, status=CANNOT_RUN, reason=f"{candidate.reason}{install}")
    return result


def failed(result: ArtifactResult, failure: Refusal | Crash) -> ArtifactResult:
    """The result of an artifact of which a process did not do its job."""
    if isinstance(failure, Refusal):
        return replace(result, status=FAILED, reason=failure.message)
    return replace(result, status=CRASHED, reason=failure.reason, log=failure.log)


def measured(
    result: ArtifactResult,
    trials: Sequence[Trial],
    examined: Examined,
    *,
    lengths: Sequence[int],
    text_count: int,
    meter: Meter | None,
) -> ArtifactResult:
    """The result of an artifact all of whose processes did their job.

    Args:
        result: the artifact.
        trials: what its processes measured, one per round; not empty.
        examined: what else was found out.
        lengths: the input lengths in tokens, in the order of ``Trial.latencies_ms``.
        text_count: how many texts were streamed.
        meter: what measured the energy; ``None`` where nothing did.
    """
    phases = [(t.interpreter_ms, t.import_ms, t.load_ms, t.first_answer_ms) for t in trials]
    first_rss = [t.first_answer_rss for t in trials if t.first_answer_rss is not None]
    peak_rss = [t.peak_rss for t in trials if t.peak_rss is not None]
    resident = [t.resident for t in trials if t.resident is not None]
    measurements = Measurements(
        facts=trials[0].facts,
        executed=examined.executed,
        interpreter_ms=Rounds.of([phase[0] for phase in phases]),
        import_ms=Rounds.of([phase[1] for phase in phases]),
        load_ms=Rounds.of([phase[2] for phase in phases]),
        first_answer_ms=Rounds.of([phase[3] for phase in phases]),
        total_ms=Rounds.of([sum(phase) for phase in phases]),
        latency_ms={n: Latency.of([t.latencies_ms[i] for t in trials]) for i, n in enumerate(lengths)},
        texts_latency_ms=Latency.of([t.sample_ms for t in trials]),
        tokenization_ms={n: Rounds.of([t.tokenization_ms[i] for t in trials]) for i, n in enumerate(lengths)},
        texts_tokenization_ms=Rounds.of([t.sample_tokenization_ms for t in trials]),
        texts_per_second=Rounds.of([text_count / t.stream_seconds for t in trials]),
        first_answer_rss_bytes=int(np.median(first_rss)) if first_rss else None,
        peak_rss_bytes=max(peak_rss, default=None),
        resident=max(resident, key=lambda one: one.rss_bytes, default=None),
        energy=_energy(trials, meter),
        thermal=tuple(_thermal(trial) for trial in trials) if any(map(_tells_heat, trials)) else (),
        accuracy=examined.accuracy,
    )
    return replace(result, measurements=measurements)


def _energy(trials: Sequence[Trial], meter: Meter | None) -> Energy | None:
    joules = [trial.joules for trial in trials if trial.joules is not None]
    if meter is None or not joules:
        return None
    return Energy(
        source=meter.source,
        domains=meter.domains,
        joules_per_inference=Rounds.of([one.per_inference for one in joules]),
        joules_per_text=Rounds.of([one.per_text for one in joules]),
        idle_watts=meter.idle_watts,
    )


def _thermal(trial: Trial) -> ThermalRound:
    return ThermalRound(trial.before, trial.after, signs_of_throttling(trial.before, trial.after))


def _tells_heat(trial: Trial) -> bool:
    state = trial.after
    return bool(state.temperatures_c or state.frequencies_mhz or state.throttling)
