"""What two runs must have in common before their figures may be compared, and what may differ."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields

from edgebert.bench.report import ArtifactResult, BenchmarkReport

_CHANGING = ("available_bytes", "memory_bytes")
"""Of a machine: what other programs leave, and what kernels reserve a little more or less of (compared in GiB)."""

_MEASURED_ALIKE = {"warmup_runs": "calls without the clock", "batch_size": "texts in a batch", "text_sha256": "texts"}


def obstacles(before: BenchmarkReport, after: BenchmarkReport) -> tuple[str, ...]:
    """Why the runs are not comparable, a sentence each; empty when nothing speaks against it.

    Another version of EdgeBERT, of a backend or of the system is none: see :func:`changes`.
    """
    return tuple(_obstacles(before, after))


def changes(before: BenchmarkReport, after: BenchmarkReport) -> tuple[str, ...]:
    """What the runs differ in that a comparison may be about: versions of software, a sentence each."""
    found = list(_differing(before.versions, after.versions))
    for old, new in pairs(before, after):
        if old.measurements is None or new.measurements is None:
            continue
        this, that = (f"{m.facts.distribution} {m.facts.version}" for m in (old.measurements, new.measurements))
        if this != that:
            found.append(f"{old.id} ran in {this} and in {that}")
    return tuple(found)


def pairs(before: BenchmarkReport, after: BenchmarkReport) -> list[tuple[ArtifactResult, ArtifactResult]]:
    """The artifacts that both runs have, in the order of the first."""
    others = {result.id: result for result in after.artifacts}
    return [(result, others[result.id]) for result in before.artifacts if result.id in others]


def _obstacles(before: BenchmarkReport, after: BenchmarkReport) -> Iterator[str]:
    if before.bundle_digest != after.bundle_digest:
        old, new = (f"{report.bundle} ({report.bundle_digest[:12]})" for report in (before, after))
        yield f"the bundles are {old} and {new}"
    for field in fields(before.machine):
        old, new = getattr(before.machine, field.name), getattr(after.machine, field.name)
        if field.name not in _CHANGING and old != new:
            yield f"the machine's {field.name.replace('_', ' ')}: {_said(old)} and {_said(new)}"
    memory = [round(report.machine.memory_bytes / 2**30) for report in (before, after)]
    if memory[0] != memory[1]:
        yield f"the machine's memory: {memory[0]} and {memory[1]} GiB"
    yield from _differing(before.settings, after.settings)
    for name, title in _MEASURED_ALIKE.items():
        if getattr(before.plan, name) != getattr(after.plan, name):
            yield f"other {title}: {getattr(before.plan, name)} and {getattr(after.plan, name)}"
    yield from _threads(before, after)
    for which, report in (("first", before), ("second", after)):
        yield from (f"the {which} run is noisy: {sentence}" for sentence in report.noise)


def _threads(before: BenchmarkReport, after: BenchmarkReport) -> Iterator[str]:
    for old, new in pairs(before, after):
        if old.measurements is None or new.measurements is None:
            continue
        this, that = old.measurements.facts, new.measurements.facts
        if this.threads != that.threads:
            yield f"the threads of {old.id}: {this.threads} and {that.threads}"
        if this.device != that.device:
            yield f"the device of {old.id}: {this.device} and {that.device}"


def _differing(before: Mapping[str, str], after: Mapping[str, str]) -> Iterator[str]:
    for name in dict.fromkeys([*before, *after]):
        if before.get(name) != after.get(name):
            yield f"{name}: {before.get(name, 'not set')} and {after.get(name, 'not set')}"


def _said(value: object) -> str:
    return ", ".join(sorted(value)) or "none" if isinstance(value, frozenset) else str(value) or "unknown"
