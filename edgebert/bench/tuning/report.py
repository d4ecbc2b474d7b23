"""What tuning found, as data and for people."""

from __future__ import annotations

import dataclasses
import json
import textwrap
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from edgebert.runtime.ranking import Entry, Ranking, show

_MEANINGS = {
    "latency": "ms from text to answer, one text at a time: the median",
    "throughput": "texts/s of Model.stream",
    "memory": "the most MB that a process had resident, from its start on",
    "energy": "J per text, one at a time, of all that the meter covers",
}
_WIDTH = 120


@dataclass(frozen=True, slots=True)
class TuningReport:
    """The result of :func:`edgebert.bench.tuning.tune`.

    Attributes:
        bundle: the bundle's name.
        ranking: what was measured, as it is kept.
        path: the file that it is kept in.
        texts: how many different texts there were.
        seconds: how long it took.
        budget: how long it might take, in seconds.
        absent: artifact -> why it cannot run here.
        noise: why the figures are not to be trusted, a sentence each.
    """

    bundle: str
    ranking: Ranking
    path: str
    texts: int
    seconds: float
    budget: float
    absent: Mapping[str, str]
    noise: tuple[str, ...]

    def to_json(self) -> str:
        """Everything, as JSON."""
        return json.dumps(dataclasses.asdict(self), indent=1)

    def table(self) -> str:
        """The ranking as plain text for people."""
        noisy = (
            ["NOISY: measure again on an idle machine.", *(f"- {sign}" for sign in self.noise)] if self.noise else []
        )
        lines = [
            f"{self.bundle}: {self.texts} {self.ranking.texts} texts, {self.seconds:.0f} s of {self.budget:.0f} s",
            render(self.ranking),
            *_wrapped(f"{artifact}: cannot run: {reason}" for artifact, reason in self.absent.items()),
            *_wrapped(noisy),
            f"edgebert.load runs the first from now on; it is kept in {self.path}",
        ]
        return "\n".join(lines)


def render(ranking: Ranking) -> str:
    """A ranking as plain text for people."""
    rows = [["", "artifact", "threads", "buckets", ranking.unit, "from", "to", "runs", "texts", "checked"]]
    rows += [[str(place), *_cells(entry)] for place, entry in enumerate(ranking.entries, start=1)]
    left = (1, 3)
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    table = [
        "  ".join(
            cell.ljust(width) if column in left else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
    head = f"measured {ranking.created} for {ranking.objective}: {_MEANINGS[ranking.objective]}"
    refused = (f"refused: {one.configuration}: {one.reason}" for one in ranking.refused)
    reference = f"checked: texts whose answers were compared with those of {ranking.reference}"
    return "\n".join([head, *table, *_wrapped([reference]), *_wrapped(refused)])


def _cells(entry: Entry) -> list[str]:
    configuration = entry.configuration
    return [
        configuration.artifact,
        str(configuration.threads),
        ",".join(map(str, configuration.buckets)) or "all",
        show(entry.value),
        show(entry.low),
        show(entry.high),
        str(entry.processes),
        str(entry.texts),
        str(entry.checked),
    ]


def _wrapped(lines: Iterable[str]) -> list[str]:
    return [textwrap.fill(line, _WIDTH, subsequent_indent="  ", break_on_hyphens=False) for line in lines]
