"""The result of a benchmark, as data: what the JSON file holds and the table shows.

``schema.json`` beside this file describes the JSON, and ``docs/reference/benchmark.md`` explains it.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from edgebert.bench.stats import CONFIDENCE, Interval, Latency, Rounds
from edgebert.devices import Machine
from edgebert.runtime.engines.base import EngineFacts, Execution

FORMAT = "edgebert-bench/2"

MEASURED = "measured"
CANNOT_RUN = "cannot run"
FAILED = "failed"
CRASHED = "crashed"

ALL_ROUNDS = "rounds"
PRECISE = "precision"
OUT_OF_TIME = "budget"

PROTOCOL = (
    "Every artifact runs in a fresh process of its own, once per round, one at a time; the order is shuffled in each "
    "round.",
    "Start-up: start of the process to its first statement; import edgebert; load with hashes and self-test; the first "
    "answer, to the shortest input. total_ms is their sum. Files are in the page cache, but for the first round.",
    "Inputs are made of texts before the clock starts, as Model.example makes them: for question answering a text is "
    "the context and its beginning the question, for zero-shot classification there are two labels, and so on.",
    "Latency per length: from input to answer, batch 1, one input whose longest row has exactly that many tokens, made "
    "of the built-in texts; warmup_runs calls without the clock, then repetitions with it. The lengths take turns in "
    "an order that is shuffled in each round.",
    "Latency on texts: from input to answer, batch 1, repetitions of the texts, drawn anew in each round and the same "
    "for all artifacts; one pass without the clock, then one with it.",
    "Throughput: Model.stream over all texts; one pass without the clock, then one with it.",
    "Tokenization: what is done to the same inputs before the model runs, alone, as often; medians.",
    "Memory: VmHWM of the process, after the first answer (the median of the rounds) and at the end (the largest); and "
    "what it holds at the end, by /proc/self/smaps_rollup, of the round in which that was most.",
    "Energy: after everything timed, so that reading the meter slows nothing: the texts one by one, then streamed, "
    "again and again until the meter can tell. What else the meter's domains take in that time is in it.",
    "Heat: temperatures, clocks and what tells of throttling, read in the process after the first length's warm-up and "
    "after the last timed call.",
    "Accuracy: in a further process per artifact, Model.stream over the evaluation file. What executes: in another.",
    "Intervals: the rounds are what varies, not the samples in one: a t interval over the logarithms of the rounds' "
    "medians. With a precision asked for, rounds are added until every p50 is as sure, or the budget ends.",
)
"""How the figures came about, in words."""


@dataclass(frozen=True, slots=True)
class Plan:
    """The parameters of a run.

    Attributes:
        lengths: input lengths in tokens, special tokens included.
        repetitions: timed calls per length and round.
        rounds: processes per artifact that were asked for: the least, with a ``precision``.
        warmup_runs: untimed calls before the timed ones of a length.
        batch_size: texts that run together at most when streaming.
        threads: compute threads asked for; ``None`` for what ``edgebert.load`` chooses
            without a ranking.
        seed: of the orders and of the texts drawn.
        precision: how wide the interval of every p50 of a length may be: half of it, as a share of the p50; ``None``
            where nobody asked.
        budget_seconds: no round begins that would likely end after it; ``None`` where nobody asked.
        order: the artifacts of each round in the order in which they ran.
        length_order: the lengths of each round in the order in which they ran.
        texts: where the texts come from, ``"built-in"`` or ``"given"``.
        text_count: how many they are.
        text_sha256: SHA-256 over them in UTF-8 (lone surrogates passed through), a line feed after each.
    """

    lengths: tuple[int, ...]
    repetitions: int
    rounds: int
    warmup_runs: int
    batch_size: int
    threads: int | None
    seed: int
    precision: float | None
    budget_seconds: float | None
    order: tuple[tuple[str, ...], ...]
    length_order: tuple[tuple[int, ...], ...]
    texts: str
    text_count: int
    text_sha256: str


@dataclass(frozen=True, slots=True)
class Course:
    """How a run went.

    Attributes:
        rounds: how many were made.
        seconds: how long everything took.
        ended: why no further round was made: ``"rounds"`` (those asked for are made), ``"precision"`` (every p50 is as
            sure as asked for) or ``"budget"`` (another would have taken too long).
        precision: of the p50 that is the least sure, half its interval as a share of it; ``None`` with one round.
        least_sure: which one that is, such as ``"onnx-int8, 16 tokens"``; empty with one round.
    """

    rounds: int
    seconds: float
    ended: str
    precision: float | None
    least_sure: str


@dataclass(frozen=True, slots=True)
class Resident:
    """What a process holds in memory, in bytes: ``/proc/self/smaps_rollup`` (``man 5 proc``).

    ``file_bytes`` are pages of files, such as weights that are mapped, and of shared memory; the system may drop them.
    ``anonymous_bytes`` are the process' own; both together are ``rss_bytes``. ``pss_bytes`` counts a page that several
    processes share in parts.
    """

    rss_bytes: int
    file_bytes: int
    anonymous_bytes: int
    pss_bytes: int


@dataclass(frozen=True, slots=True)
class Energy:
    """The energy of one inference, all that the meter's domains take while it runs, idle power too.

    Attributes:
        source: what measures, such as ``"powercap"``.
        domains: what it covers, by the names that the system has for it, such as ``"package-0"``.
        joules_per_inference: batch 1, on the texts.
        joules_per_text: streamed, on the texts.
        idle_watts: before the run, when nothing of it ran.
    """

    source: str
    domains: tuple[str, ...]
    joules_per_inference: Rounds
    joules_per_text: Rounds
    idle_watts: float


@dataclass(frozen=True, slots=True)
class ThermalState:
    """What the system says of heat at one moment; empty where it says nothing.

    Attributes:
        temperatures_c: sensor -> degrees Celsius.
        frequencies_mhz: CPU or group of CPUs -> the clock at that moment.
        limits_mhz: the same -> the highest clock that is allowed at that moment.
        throttling: what counts or flags throttling, by name -> its value; see :mod:`edgebert.bench.thermal`.
    """

    temperatures_c: Mapping[str, float]
    frequencies_mhz: Mapping[str, float]
    limits_mhz: Mapping[str, float]
    throttling: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class ThermalRound:
    """Heat in one round: ``before`` the timed calls, ``after`` them, and ``signs`` of throttling, a sentence each."""

    before: ThermalState
    after: ThermalState
    signs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Score:
    """A metric of one artifact on the evaluation file.

    Attributes:
        metric: its name, such as ``"accuracy"``; at most 1, and higher is better.
        value: of the artifact here.
        reference: of what ``Evaluation.reference`` names; ``None`` where there is none.
        retention: ``value`` as a share of ``reference``; ``None`` without one, and where that is not above 0.
        interval: where the value lies for other texts like these; ``None`` for a metric that is no share of them.
    """

    metric: str
    value: float
    reference: float | None
    retention: float | None
    interval: Interval | None


@dataclass(frozen=True, slots=True)
class Accuracy:
    """How well an artifact answers the evaluation file, by its metrics, the main one first."""

    scores: tuple[Score, ...]


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The evaluation file, and what its figures are compared with.

    Attributes:
        file: its name, without the folder.
        sha256: of its bytes.
        count: its inputs.
        reference: what ``Score.reference`` is of: ``"checkpoint"`` (the float32 checkpoint, measured on this very file
            when the bundle was made), the id of an artifact of this run, or empty.
    """

    file: str
    sha256: str
    count: int
    reference: str


@dataclass(frozen=True, slots=True)
class Executed:
    """What really ran for one input, as the backend tells it; of a cascade in the model in front.

    Attributes:
        length: of the input in tokens.
        execution: the operators, and the kernels of a delegate; ``None`` where they are not told.
        reason: why they are not; else empty.
    """

    length: int | None
    execution: Execution | None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Measurements:
    """The figures of one artifact; :data:`PROTOCOL` says how each is taken.

    Attributes:
        facts: what the engine says of itself: backend, version, threads, device.
        executed: the operators that ran.
        interpreter_ms: start of the process to its first statement.
        import_ms: ``import edgebert``.
        load_ms: ``edgebert.load``.
        first_answer_ms: the first call.
        total_ms: start of the process to the first answer.
        latency_ms: length in tokens -> batch-1 latency.
        texts_latency_ms: batch-1 latency on the texts.
        tokenization_ms: length in tokens -> what is done before the model runs; a median per round.
        texts_tokenization_ms: the same on the texts.
        texts_per_second: throughput on the texts.
        first_answer_rss_bytes: peak resident memory after the first answer; ``None`` where the system does not say.
        peak_rss_bytes: peak resident memory of the whole run; likewise.
        resident: what the process holds at the end; likewise.
        energy: ``None`` where nothing measures it; ``BenchmarkReport.untold`` says why.
        thermal: one entry per round; empty where the system says nothing.
        accuracy: ``None`` without an evaluation file.
    """

    facts: EngineFacts
    executed: Executed
    interpreter_ms: Rounds
    import_ms: Rounds
    load_ms: Rounds
    first_answer_ms: Rounds
    total_ms: Rounds
    latency_ms: dict[int, Latency]
    texts_latency_ms: Latency
    tokenization_ms: dict[int, Rounds]
    texts_tokenization_ms: Rounds
    texts_per_second: Rounds
    first_answer_rss_bytes: int | None
    peak_rss_bytes: int | None
    resident: Resident | None
    energy: Energy | None
    thermal: tuple[ThermalRound, ...]
    accuracy: Accuracy | None

    @property
    def tokenization_share(self) -> dict[int, float]:
        """Length in tokens -> the share of the latency that is tokenization, from the medians."""
        return {
            length: self.tokenization_ms[length].median / latency.p50 for length, latency in self.latency_ms.items()
        }

    @property
    def texts_tokenization_share(self) -> float:
        """The same on the texts."""
        return self.texts_tokenization_ms.median / self.texts_latency_ms.p50


@dataclass(frozen=True, slots=True)
class ArtifactResult:
    """What became of one artifact.

    ``status`` is ``"measured"``, ``"cannot run"`` (this machine lacks something it needs), ``"failed"`` (EdgeBERT
    refused it, for instance in its self-test) or ``"crashed"`` (its process died); ``reason`` says why it has no
    figures. ``log`` is the end of a crashed process' stderr. ``bytes`` is the size of its files on disk; of a cascade
    ``stage_bytes`` has a figure for each bundle that runs it, the one in front first, and ``bytes`` is their sum.
    """

    id: str
    backend: str
    precision: str
    quantization: str
    bytes: int
    stage_bytes: tuple[int, ...]
    status: str
    reason: str = ""
    log: str = ""
    measurements: Measurements | None = None


@dataclass(frozen=True, slots=True)
class BenchmarkReport:
    """The result of :func:`edgebert.bench.run_benchmark`.

    Attributes:
        bundle: the bundle's name.
        bundle_digest: SHA-256 of its ``manifest.json``, which names the SHA-256 of every other file.
        bundle_bytes: everything in it, on disk.
        task: the name of its task.
        created: RFC 3339 UTC time of the start.
        machine: what ran it.
        versions: of EdgeBERT, Python, its packages and the operating system; backends' own are in ``facts``.
        settings: what else changes speed and is not the machine's: the CPUs this process may use, the governor,
            environment variables that thread pools and allocators read. Only what is set is there.
        plan: the parameters.
        course: how it went.
        evaluation: the evaluation file; ``None`` where none was given.
        load_average_before: runnable processes over the last 1, 5 and 15 minutes; ``None`` where unknown.
        load_average_after: the same at the end.
        noise: why the figures are not to be trusted, a sentence each; empty when nothing speaks against them.
        untold: what could not be measured here -> why: of ``"energy"``, ``"temperature"``, ``"frequency"``,
            ``"throttling"``, ``"memory"``.
        artifacts: in the order in which this machine would try them.
    """

    bundle: str
    bundle_digest: str
    bundle_bytes: int
    task: str
    created: str
    machine: Machine
    versions: Mapping[str, str]
    settings: Mapping[str, str]
    plan: Plan
    course: Course
    evaluation: Evaluation | None
    load_average_before: tuple[float, float, float] | None
    load_average_after: tuple[float, float, float] | None
    noise: tuple[str, ...]
    untold: Mapping[str, str]
    artifacts: tuple[ArtifactResult, ...]
    confidence: float = field(default=CONFIDENCE, init=False)
    """Of every interval."""

    @property
    def noisy(self) -> bool:
        """Whether the machine was busy or throttled, or the figures spread widely; ``noise`` says which."""
        return bool(self.noise)

    def to_json(self) -> bytes:
        """The whole report as UTF-8 JSON, as ``schema.json`` has it. No NaN or infinity is in it."""
        whole = {"format": FORMAT, "protocol": PROTOCOL, "noisy": self.noisy, **dataclasses.asdict(self)}
        for entry, result in zip(whole["artifacts"], self.artifacts, strict=True):
            if result.measurements is not None:
                entry["measurements"]["tokenization_share"] = result.measurements.tokenization_share
                entry["measurements"]["texts_tokenization_share"] = result.measurements.texts_tokenization_share
        text = json.dumps(whole, indent=1, ensure_ascii=False, allow_nan=False, default=_plain)
        return (text + "\n").encode("utf-8", "replace")

    def table(self) -> str:
        """The figures as plain text for people, lines of at most 120 characters where the artifacts' ids allow it."""
        from edgebert.bench.table import render  # it needs this module's classes

        return render(self)


def _plain(value: Any) -> list[Any]:  # noqa: ANN401 (what json cannot write: here, sets of ISA features)
    return sorted(value)
