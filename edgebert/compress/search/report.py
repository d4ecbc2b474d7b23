"""The result of a search, as data: what ``frontier.json`` holds, and the table and the page show."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from edgebert.compress.search.pareto import frontier

FORMAT = "edgebert-frontier/1"
JSON_NAME = "frontier.json"
PAGE_NAME = "frontier.html"

MEASURED = "measured"
REFUSED = "refused"
FAILED = "failed"
NOT_TRIED = "not tried"

SIZE = "size"
LATENCY = "latency"


@dataclass(frozen=True, slots=True)
class Artifact:
    """An artifact of a point, from the evidence of its conversion.

    Attributes:
        id: such as ``onnx-int8``.
        status: ``"passed"``, ``"refused"`` by the gate, or ``"failed"``.
        bytes: the size of its files.
        score: the main metric on the evaluation file.
        reasons: why it did not pass.
    """

    id: str
    status: str
    bytes: int | None
    score: float | None
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PointLatency:
    """The latency of a point's best artifact, batch 1, in milliseconds.

    Attributes:
        p50: the median over the rounds of the rounds' medians over texts of the evaluation file.
        rounds: the median of each round, in order.
        ratio: ``p50`` over that of the checkpoint's best artifact: the median of the rounds' ratios.
        lengths: input length in tokens -> the median over the rounds of the rounds' medians.
    """

    p50: float
    rounds: tuple[float, ...]
    ratio: float
    lengths: Mapping[int, float]


@dataclass(frozen=True, slots=True)
class PointResult:
    """What became of a point of the grid.

    Attributes:
        name: its name, which its folder has as well.
        title: what it is, for people.
        status: ``"measured"``; ``"refused"``: no artifact passed the gate; ``"failed"``: it could not be made;
            ``"not tried"``: there was no time.
        reason: why it is not measured, or its latency is not; else empty.
        commands: what makes and converts it, in order, as to be typed in an empty folder.
        seconds: what these took, without those of the point that it is made of.
        steps: of its training; ``None`` without one.
        parameters: how many it has.
        checkpoint_score: the main metric of its float32 checkpoint.
        artifacts: of the target, in the order in which a device prefers them.
        best: the artifact that a device prefers of those that passed.
        bytes: that one's size.
        score: its main metric.
        latency: its latency, where it was measured.
    """

    name: str
    title: str
    status: str
    reason: str
    commands: tuple[str, ...]
    seconds: float
    steps: int | None = None
    parameters: int | None = None
    checkpoint_score: float | None = None
    artifacts: tuple[Artifact, ...] = ()
    best: str | None = None
    bytes: int | None = None
    score: float | None = None
    latency: PointLatency | None = None


@dataclass(frozen=True, slots=True)
class Measuring:
    """How latency was measured: the order of the points in each round, repetitions, texts, and the commands."""

    order: tuple[tuple[str, ...], ...]
    repetitions: int
    texts: str
    commands: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Frontier:
    """The result of a search.

    Attributes:
        checkpoint: path or hub name.
        files: the SHA-256 of each file of the checkpoint that was read.
        task: its task.
        metric: the main metric of the task.
        evaluation: path, SHA-256 and number of rows of the evaluation file.
        data: path and SHA-256 of each training file.
        target: what it was converted for.
        budget: seconds that were given.
        spent: seconds that it took, over all runs.
        machine: what it ran on.
        versions: of the tools.
        measuring: how latency was measured; ``None`` where it was not.
        notes: what to know of the figures, a sentence each.
        points: the checkpoint first, then the grid in its order.
        command: the command line.
        created: RFC 3339, UTC.
    """

    checkpoint: str
    files: Mapping[str, str]
    task: str
    metric: str
    evaluation: Mapping[str, Any]
    data: Sequence[Mapping[str, str]]
    target: str
    budget: float
    spent: float
    machine: Mapping[str, Any]
    versions: Mapping[str, str]
    measuring: Measuring | None
    notes: tuple[str, ...]
    points: tuple[PointResult, ...]
    command: tuple[str, ...]
    created: str

    @property
    def whole(self) -> PointResult:
        """The checkpoint that was not compressed."""
        return self.points[0]

    def on_frontier(self) -> dict[str, list[str]]:
        """Names of the points that no other beats in size and metric, and in latency and metric."""
        sizes = {p.name: (p.bytes, p.score) for p in self.points if p.bytes is not None and p.score is not None}
        times = {p.name: (p.latency.p50, p.score) for p in self.points if p.latency and p.score is not None}
        return {SIZE: frontier(sizes), LATENCY: frontier(times)}

    def to_dict(self) -> dict[str, Any]:
        """JSON values."""
        return {"format": FORMAT, **asdict(self), "frontier": self.on_frontier()}

    def to_json(self) -> bytes:
        """``frontier.json``: UTF-8 JSON."""
        text = json.dumps(self.to_dict(), indent=1, ensure_ascii=False, default=sorted) + "\n"
        # A file name that is not UTF-8 holds lone surrogates, which this writes as JSON escapes.
        return text.encode("utf-8", "backslashreplace")
