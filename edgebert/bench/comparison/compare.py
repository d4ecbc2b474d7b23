"""Comparing two reports: which figures there are, and what became of each."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from edgebert.bench.comparison.change import (
    BETTER,
    LEVEL,
    MARGIN,
    SAME,
    UNCLEAR,
    WORSE,
    Change,
    find_change,
)
from edgebert.bench.comparison.comparable import changes, obstacles, pairs
from edgebert.bench.report import ArtifactResult, BenchmarkReport, Measurements
from edgebert.errors import DataError

FORMAT = "edgebert-bench-comparison/1"

METHOD = (
    "Student's t on the logarithms of the rounds' values, with one variance for both runs; each bound of an interval "
    "has the one-sided level divided by the number of intervals. Worse and better: the whole interval lies beyond the "
    "margin. Same: within it on both sides. Unclear: neither. Start-up without the first round, whose files may come "
    "from the disk. Peak memory is one value of a run: it has no interval, and the margin alone decides."
)


@dataclass(frozen=True, slots=True)
class FigureChange:
    """One figure of one artifact in both runs.

    Attributes:
        artifact: its id.
        figure: what was measured, such as ``"latency, 16 tokens"``.
        unit: of ``before`` and ``after``.
        before: the figure of the first run: the geometric mean of the rounds' medians, since that is compared, or the
            one value that a run has.
        after: the same of the second run.
        rounds: how many rounds of either run are compared.
        change: the ratio of the second to the first with its interval; ``None`` for a figure that a run has once.
        verdict: ``"same"``, ``"worse"``, ``"better"`` or ``"unclear"``.
    """

    artifact: str
    figure: str
    unit: str
    before: float
    after: float
    rounds: tuple[int, int]
    change: Change | None
    verdict: str


@dataclass(frozen=True, slots=True)
class Comparison:
    """What :func:`compare` found.

    Attributes:
        before: the time of the first run, RFC 3339.
        after: the time of the second run.
        level: the probability that any figure is called worse when nothing changed; the same for better.
        margin: the smallest change that counts, as a share.
        obstacles: why the runs are not comparable, where ``anyway`` went on all the same.
        changes: what else they differ in, such as versions.
        left_out: what only one of them has, a sentence each.
        lost: artifacts that were measured in the first run and not in the second, though it tried, and why.
        figures: one entry for each figure that both have.
    """

    before: str
    after: str
    level: float
    margin: float
    obstacles: tuple[str, ...]
    changes: tuple[str, ...]
    left_out: tuple[str, ...]
    lost: tuple[str, ...]
    figures: tuple[FigureChange, ...]

    @property
    def regressed(self) -> bool:
        """Whether a figure is worse, or an artifact no longer runs."""
        return bool(self.lost) or any(figure.verdict == WORSE for figure in self.figures)

    def to_json(self) -> bytes:
        """Everything as UTF-8 JSON."""
        whole = {"format": FORMAT, "method": METHOD, "regressed": self.regressed, **dataclasses.asdict(self)}
        return (json.dumps(whole, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode("utf-8", "replace")

    def table(self) -> str:
        """What changed, as plain text for people."""
        from edgebert.bench.comparison.table import render  # it needs this module's classes

        return render(self)


@dataclass(frozen=True, slots=True)
class _Figure:
    """A figure of one run: its name, and each round's value; one value where it is not ``repeated`` in each round."""

    name: str
    unit: str
    rounds: tuple[float, ...]
    more_is_worse: bool = True
    repeated: bool = True

    @property
    def shown(self) -> float:
        return math.exp(sum(map(math.log, self.rounds)) / len(self.rounds))


def compare(
    before: BenchmarkReport,
    after: BenchmarkReport,
    *,
    anyway: bool = False,
    level: float = LEVEL,
    margin: float = MARGIN,
) -> Comparison:
    """Tell which figures of ``after`` differ from those of ``before`` by more than noise.

    See :mod:`edgebert.bench.comparison.change` for the test, and what it cannot see.

    Args:
        before: the run that things were well in.
        after: the run in question.
        anyway: go on when the runs are not comparable; the result names why they are not.
        level: how often a comparison may call any of its figures worse when nothing changed.
        margin: the smallest change that counts, as a share of a figure.

    Raises:
        DataError: the runs are not comparable, have nothing in common, or fewer than two rounds.
    """
    found = obstacles(before, after)
    if found and not anyway:
        raise DataError(
            "The two runs are not comparable:" + "".join(f"\n  {sentence}" for sentence in found) + "\n",
            hint="Measure again under the same conditions, or go on all the same: --anyway",
        )
    left_out: list[str] = list(_only_in_one(before, after))
    lost: list[str] = []
    matched: list[tuple[str, _Figure, _Figure]] = []
    for old, new in pairs(before, after):
        if old.measurements is None:
            left_out.append(f"{old.id}: the first run did not measure it ({old.status}: {old.reason})")
        elif new.measurements is None:
            lost.append(f"{old.id}: {new.status}: {new.reason}")
        else:
            matched += [(old.id, *both) for both in _matched(old.measurements, new.measurements)]
            left_out += _lengths_left_out(old, new)
    if not matched and not lost:
        raise DataError(
            "The two runs have nothing in common:" + "".join(f"\n  {sentence}" for sentence in left_out) + "\n",
            hint="Compare runs that measured the same artifacts.",
        )
    return Comparison(
        before=before.created,
        after=after.created,
        level=level,
        margin=margin,
        obstacles=found,
        changes=changes(before, after),
        left_out=tuple(left_out),
        lost=tuple(lost),
        figures=tuple(_judged(matched, level, margin)),
    )


def _judged(matched: Sequence[tuple[str, _Figure, _Figure]], level: float, margin: float) -> Iterator[FigureChange]:
    tested = sum(1 for _, old, new in matched if _testable(old, new))
    if not tested and any(old.repeated for _, old, _ in matched):
        raise DataError(
            "One round tells nothing of what varies from process to process.",
            hint="Measure again with more: --rounds 5",
        )
    for artifact, old, new in matched:
        change = None
        if _testable(old, new):
            change = find_change(
                old.rounds, new.rounds, more_is_worse=old.more_is_worse, figures=tested, level=level, margin=margin
            )
            verdict = change.verdict
        else:
            verdict = UNCLEAR if old.repeated else _beyond(old.shown, new.shown, margin)
        rounds = (len(old.rounds), len(new.rounds))
        yield FigureChange(artifact, old.name, old.unit, old.shown, new.shown, rounds, change, verdict)


def _testable(old: _Figure, new: _Figure) -> bool:
    return min(len(old.rounds), len(new.rounds)) >= 2


def _beyond(before: float, after: float, margin: float) -> str:
    """The verdict on a figure that a run has once, of which more is worse."""
    if after > before * (1 + margin):
        return WORSE
    return BETTER if after * (1 + margin) < before else SAME


def _matched(old: Measurements, new: Measurements) -> Iterator[tuple[_Figure, _Figure]]:
    others = {figure.name: figure for figure in _figures(new)}
    for figure in _figures(old):
        if figure.name in others:
            yield figure, others[figure.name]


def _figures(measured: Measurements) -> Iterator[_Figure]:
    for length, latency in measured.latency_ms.items():
        yield _Figure(_latency(length), "ms", latency.round_p50)
    texts = measured.texts_latency_ms
    yield _Figure("latency, texts", "ms", texts.round_p50)
    throughput = measured.texts_per_second
    yield _Figure("throughput", "texts/s", throughput.values, more_is_worse=False)
    if len(measured.total_ms.values) > 1:
        yield _Figure("start-up", "ms", measured.total_ms.values[1:])
    for name, size in (
        ("memory, first answer", measured.first_answer_rss_bytes),
        ("memory, peak", measured.peak_rss_bytes),
    ):
        if size is not None:
            yield _Figure(name, "MB", (size / 1e6,), repeated=False)
    if measured.energy is not None:
        joules = measured.energy.joules_per_inference
        if min(joules.values) > 0:  # a meter may be too coarse to see an inference
            yield _Figure("energy", "mJ", tuple(1000 * value for value in joules.values))


def _latency(length: int) -> str:
    return f"latency, {length} tokens"


def _only_in_one(before: BenchmarkReport, after: BenchmarkReport) -> Iterator[str]:
    for this, other, which in ((before, after, "first"), (after, before, "second")):
        known = {result.id for result in other.artifacts}
        yield from (f"{result.id}: only in the {which} run" for result in this.artifacts if result.id not in known)


def _lengths_left_out(old: ArtifactResult, new: ArtifactResult) -> Iterator[str]:
    assert old.measurements is not None and new.measurements is not None
    one, other = set(old.measurements.latency_ms), set(new.measurements.latency_ms)
    for lengths, which in ((one - other, "first"), (other - one, "second")):
        if lengths:
            yield f"{old.id}: {', '.join(map(str, sorted(lengths)))} tokens: only in the {which} run"
