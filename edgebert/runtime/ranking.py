"""A ranking that ``edgebert tune`` measured: its format, read as strictly as a manifest.

It is one line of JSON in canonical form with a SHA-256 of itself, so that a file that was cut or altered is not used.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass

from edgebert.bundle import Manifest, limits
from edgebert.bundle.fields import Document, Field, read_json
from edgebert.runtime.ranking_key import DIGITS, SHA256, RankingKey, parse_key
from edgebert.runtime.selection import Configuration, Measured

FORMAT = "edgebert-ranking/1"
MAX_BYTES = 1 << 20

OBJECTIVES: Mapping[str, str] = {
    "latency": "ms",
    "throughput": "texts/s",
    "memory": "MB",
    "energy": "J/text",
}
"""What a ranking can be for, and the unit of its figures. ``MB`` are 10^6 bytes."""

_DOCUMENT = Document("the ranking", "one", MAX_BYTES)
_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z")
_MAX_ENTRIES = 4096
_MAX_COUNT = 1 << 31
_MAX_VALUE = 1e15


@dataclass(frozen=True, slots=True)
class Entry:
    """One configuration, and what was measured of it.

    Attributes:
        configuration: the artifact, and how it was run.
        value: the figure, in the unit of the objective.
        low: the smallest figure of one process of the last round that it was in.
        high: the largest of these.
        processes: how many processes that round had for it.
        texts: how many texts each of them answered for the figure.
        checked: how many different texts' answers were compared with those of the reference.
    """

    configuration: Configuration
    value: float
    low: float
    high: float
    processes: int
    texts: int
    checked: int


@dataclass(frozen=True, slots=True)
class Refused:
    """A configuration that does not count here, and why: it failed, or its answers are not right."""

    configuration: Configuration
    reason: str


@dataclass(frozen=True, slots=True)
class Ranking:
    """What was measured of a bundle on a device.

    Attributes:
        key: what it holds for.
        created: RFC 3339 UTC time.
        objective: one of :data:`OBJECTIVES`.
        texts: where the texts come from, ``"built-in"`` or ``"given"``.
        reference: the configuration whose answers the others were compared with.
        entries: best first, at least one.
        refused: what does not count.
    """

    key: RankingKey
    created: str
    objective: str
    texts: str
    reference: Configuration
    entries: tuple[Entry, ...]
    refused: tuple[Refused, ...]

    @property
    def unit(self) -> str:
        """The unit of the figures."""
        return OBJECTIVES[self.objective]

    @property
    def measured(self) -> Measured:
        """What selection needs of it."""
        return Measured(
            tuple(entry.configuration for entry in self.entries),
            frozenset(one.configuration.artifact for one in self.refused),
        )

    def entry(self, configuration: Configuration) -> Entry:
        """What was measured of a configuration. Raises ``KeyError`` when nothing was."""
        for entry in self.entries:
            if entry.configuration == configuration:
                return entry
        raise KeyError(configuration)

    def figure(self, entry: Entry) -> str:
        """The figure of an entry with its unit and spread, for people."""
        spread = f" ({show(entry.low)} to {show(entry.high)})" if entry.processes > 1 else ""
        return f"{show(entry.value)} {self.unit}{spread}"


def show(value: float) -> str:
    """A figure in three significant digits, or in whole numbers from 100 on."""
    if value >= 100:
        return f"{value:.0f}"
    if value < 1:
        return f"{value:.3g}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def dump_ranking(ranking: Ranking) -> bytes:
    """The content of its file: one line of ASCII.

    Raises:
        ManifestError: nobody could read it, since a part of it is not what it may be.
    """
    line = _line(ranking)
    parse_ranking(line)
    return line


def parse_ranking(data: bytes) -> Ranking:
    """Reads and checks the content of a file, which has one form only: that of :func:`dump_ranking`.

    Raises:
        ManifestError: it breaks the format, or was altered.
    """
    root = read_json(data, _DOCUMENT)
    field = root.object(("format", "sha256", "key", "created", "objective", "texts", "reference", "entries", "refused"))
    field["format"].choice((FORMAT,))
    field["sha256"].match(SHA256, DIGITS)
    ranking = Ranking(
        key=parse_key(field["key"]),
        created=field["created"].match(_TIME, "an RFC 3339 UTC time such as 2026-01-31T12:00:00Z"),
        objective=field["objective"].choice(tuple(OBJECTIVES)),
        texts=field["texts"].choice(("built-in", "given")),
        reference=_configuration(field["reference"]),
        entries=tuple(map(_entry, field["entries"].array(1, _MAX_ENTRIES))),
        refused=tuple(map(_refused, field["refused"].array(0, _MAX_ENTRIES))),
    )
    if _line(ranking) != data:
        raise root.fault("was altered, or is written in another way", "canonical JSON with its own SHA-256")
    return ranking


def fits(ranking: Ranking, manifest: Manifest) -> bool:
    """Whether everything in it is about artifacts and buckets that the manifest has."""
    shapes = {artifact.id: artifact.shapes for artifact in manifest.artifacts}
    configurations = [*ranking.measured.configurations, *(one.configuration for one in ranking.refused)]
    return all(
        one.artifact in shapes and (not one.buckets or one.shapes(shapes[one.artifact]).buckets == one.buckets)
        for one in configurations
    )


def _entry(place: Field) -> Entry:
    field = place.object(("configuration", "value", "low", "high", "processes", "texts", "checked"))
    allowed = "a number above 0"
    value, low, high = (field[name].number(1e-15, _MAX_VALUE, allowed) for name in ("value", "low", "high"))
    return Entry(
        configuration=_configuration(field["configuration"]),
        value=value,
        low=low,
        high=high,
        processes=field["processes"].integer(1, _MAX_COUNT),
        texts=field["texts"].integer(1, _MAX_COUNT),
        checked=field["checked"].integer(0, _MAX_COUNT),
    )


def _refused(place: Field) -> Refused:
    field = place.object(("configuration", "reason"))
    return Refused(_configuration(field["configuration"]), field["reason"].argument())


def _configuration(place: Field) -> Configuration:
    field = place.object(("artifact", "threads", "buckets"))
    buckets = tuple(item.integer(1, limits.MAX_TOKENS) for item in field["buckets"].array(0, limits.MAX_BUCKETS))
    if list(buckets) != sorted(set(buckets)):
        raise field["buckets"].fault(f"is {list(buckets)}", "ascending numbers")
    return Configuration(
        artifact=field["artifact"].text(limits.MAX_NAME),
        threads=field["threads"].integer(1, limits.MAX_THREADS),
        buckets=buckets,
    )


def _line(ranking: Ranking) -> bytes:
    # By hand, as dataclasses.asdict takes longer than all the rest of reading.
    plain = {
        "key": asdict(ranking.key),
        "created": ranking.created,
        "objective": ranking.objective,
        "texts": ranking.texts,
        "reference": _plain(ranking.reference),
        "entries": [
            {
                "configuration": _plain(one.configuration),
                "value": one.value,
                "low": one.low,
                "high": one.high,
                "processes": one.processes,
                "texts": one.texts,
                "checked": one.checked,
            }
            for one in ranking.entries
        ],
        "refused": [{"configuration": _plain(one.configuration), "reason": one.reason} for one in ranking.refused],
    }
    body = json.dumps(plain, sort_keys=True, separators=(",", ":"))
    digest = hashlib.sha256(body.encode("ascii")).hexdigest()
    return f'{{"format":"{FORMAT}","sha256":"{digest}",{body[1:]}\n'.encode("ascii")


def _plain(configuration: Configuration) -> dict[str, object]:
    return {
        "artifact": configuration.artifact,
        "threads": configuration.threads,
        "buckets": configuration.buckets,
    }
