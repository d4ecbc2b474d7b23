"""What the benchmark asks of one worker process, and what it answers; JSON in both directions."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from typing import Any

from edgebert.bench.report import Resident, ThermalState
from edgebert.runtime.engines.base import EngineFacts

BATCH_SIZE = 8
"""Inputs that ``Model.stream`` runs together at most: its own default."""

WARMUP_RUNS = 3
"""Untimed calls before the timed ones of each length."""


@dataclass(frozen=True, slots=True)
class Job:
    """One artifact to measure in a fresh process. Inputs are made of texts, as ``Model.example`` does.

    Attributes:
        bundle: the bundle's folder.
        artifact: id of the artifact.
        threads: compute threads; ``None`` for what ``edgebert.load`` chooses.
        repetitions: timed calls for each text of ``lengths``.
        lengths: one text per length in tokens, shortest first; the first one is also the first that is answered.
        sample: texts whose inputs are answered one by one.
        texts: texts whose inputs are streamed.
        length_order: the places in ``lengths`` in the order of timing; empty for that of the list.
        battery: whether a battery may serve as the meter of energy.
    """

    bundle: str
    artifact: str
    threads: int | None
    repetitions: int
    lengths: list[str]
    sample: list[str]
    texts: list[str]
    length_order: list[int] = field(default_factory=list)
    battery: bool = False

    def to_json(self) -> str:
        """As :meth:`from_json` reads it."""
        return json.dumps(dataclasses.asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Job:
        """What :meth:`to_json` wrote."""
        return cls(**json.loads(text))


@dataclass(frozen=True, slots=True)
class Joules:
    """Energy in joules, as one process measured it: of an inference at batch 1, and of a streamed text."""

    per_inference: float
    per_text: float


@dataclass(frozen=True, slots=True)
class Trial:
    """What one process measured.

    Attributes:
        interpreter_ms: from the start of the process to its first Python statement.
        import_ms: ``import edgebert``.
        load_ms: ``edgebert.load``: backend imported, hashes checked, artifact opened, self-test passed.
        first_answer_ms: the first call of the model.
        first_answer_rss: peak resident memory after that call in bytes, ``None`` where the system does not say.
        peak_rss: the same after everything that is timed.
        latencies_ms: per length, one value per repetition.
        sample_ms: one value per text of the sample.
        stream_seconds: the time to stream all texts.
        tokenization_ms: per length, the median of what is done before the model runs.
        sample_tokenization_ms: the same over the texts of the sample.
        resident: what the process holds after everything that is timed.
        before: heat when the timing begins.
        after: heat when it ends.
        joules: energy; ``None`` where nothing measures it, or the meter was too coarse.
        facts: what the engine says of itself.
    """

    interpreter_ms: float
    import_ms: float
    load_ms: float
    first_answer_ms: float
    first_answer_rss: int | None
    peak_rss: int | None
    latencies_ms: list[list[float]]
    sample_ms: list[float]
    stream_seconds: float
    tokenization_ms: list[float]
    sample_tokenization_ms: float
    resident: Resident | None
    before: ThermalState
    after: ThermalState
    joules: Joules | None
    facts: EngineFacts


@dataclass(frozen=True, slots=True)
class Refusal:
    """EdgeBERT's own error: the artifact does not load, or fails in use."""

    message: str


def dump_answer(answer: Trial | Refusal) -> str:
    """As :func:`parse_answer` reads it."""
    return json.dumps({type(answer).__name__: dataclasses.asdict(answer)})


def parse_answer(text: str) -> Trial | Refusal:
    """What :func:`dump_answer` wrote."""
    [(kind, fields)] = json.loads(text).items()
    if kind == Refusal.__name__:
        return Refusal(**fields)
    parts: dict[str, Any] = {
        "resident": fields["resident"] and Resident(**fields["resident"]),
        "before": ThermalState(**fields["before"]),
        "after": ThermalState(**fields["after"]),
        "joules": fields["joules"] and Joules(**fields["joules"]),
        "facts": EngineFacts(**fields["facts"]),
    }
    return Trial(**{**fields, **parts})
