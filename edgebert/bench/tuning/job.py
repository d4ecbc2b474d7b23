"""What tuning asks of one worker process, and what it answers; JSON in both directions."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass

from edgebert.bench.tuning.answers import Answer
from edgebert.runtime.selection import Configuration


@dataclass(frozen=True, slots=True)
class Job:
    """One configuration to run in a fresh process.

    Attributes:
        bundle: the bundle's folder.
        configuration: what runs, and how.
        objective: what the figure is for; empty to answer only, without the clock.
        texts: of which the task's inputs are made.
        seconds: answer no further text when so much time has passed since the first; ``None`` to answer all.
        least: answer so many whatever the time.
    """

    bundle: str
    configuration: Configuration
    objective: str
    texts: list[str]
    seconds: float | None = None
    least: int = 0

    def to_json(self) -> str:
        """As :meth:`from_json` reads it."""
        return json.dumps(dataclasses.asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Job:
        """What :meth:`to_json` wrote."""
        fields = json.loads(text)
        return cls(**{**fields, "configuration": read_configuration(fields["configuration"])})


@dataclass(frozen=True, slots=True)
class Trial:
    """What one process measured.

    Attributes:
        answers: to the texts in order; fewer than texts where the time was up.
        value: the figure in the unit of the objective; 0 without one.
        text_ms: milliseconds per text, alone (for throughput: of the stream).
        work_seconds: everything after loading.
        total_seconds: start of the process to its end, as the parent sees it.
    """

    answers: list[Answer]
    value: float
    text_ms: float
    work_seconds: float
    total_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Failure:
    """A configuration that does not run: why."""

    reason: str


@dataclass(frozen=True, slots=True)
class OutOfTime:
    """The process was ended because the budget was spent."""


def read_configuration(fields: dict[str, object]) -> Configuration:
    """A configuration from its JSON."""
    artifact, threads, buckets = fields["artifact"], fields["threads"], fields["buckets"]
    assert isinstance(artifact, str) and isinstance(threads, int) and isinstance(buckets, list)
    return Configuration(artifact, threads, tuple(buckets))


def dump_result(result: Trial | Failure) -> str:
    """As :func:`parse_result` reads it."""
    return json.dumps({type(result).__name__: dataclasses.asdict(result)})


def parse_result(text: str) -> Trial | Failure:
    """What :func:`dump_result` wrote."""
    [(kind, fields)] = json.loads(text).items()
    if kind == Failure.__name__:
        return Failure(**fields)
    answers = [Answer(tuple(one["decisions"]), tuple(one["numbers"])) for one in fields["answers"]]
    return Trial(**{**fields, "answers": answers})
