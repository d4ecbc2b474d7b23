"""What there is to try: artifacts, numbers of threads, and of artifacts with static shapes fewer of their buckets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from edgebert.bundle import Artifact, Bundle
from edgebert.bundle.schema import PRECISIONS
from edgebert.devices import Machine, Runtime
from edgebert.runtime.bigger import stages
from edgebert.runtime.explanation import cannot_run
from edgebert.runtime.selection import Configuration, rank


@dataclass(frozen=True, slots=True)
class Field:
    """What runs in a comparison.

    Attributes:
        configurations: everything to try.
        references: one configuration of each artifact, the most precise first: the first that runs is what the
            others' answers are compared with.
        absent: artifact -> why it cannot run here.
    """

    configurations: tuple[Configuration, ...]
    references: tuple[Configuration, ...]
    absent: Mapping[str, str]


def thread_counts(machine: Machine) -> tuple[int, ...]:
    """The powers of two up to the physical cores, all of those, and all fast ones."""
    most = machine.physical_cores
    counts = {1 << power for power in range(most.bit_length()) if 1 << power <= most}
    return tuple(sorted(counts | {most, machine.performance_cores}))


def find_candidates(bundle: Bundle, machine: Machine, runtimes: Sequence[Runtime], threads: Sequence[int]) -> Field:
    """Everything to try of a bundle: of a cascade, the artifacts that all of its bundles can run.

    An artifact with static shapes is also tried with every other of its buckets, with the most threads alone: what
    that gives depends on the kernels for a shape, hardly on the threads.

    Args:
        bundle: the bundle; of a cascade the one in front.
        machine: the machine to run on.
        runtimes: the known backends, usable or not.
        threads: numbers of compute threads, not empty.

    Raises:
        BundleError: a bigger bundle of a cascade cannot be read.
    """
    runnable, absent = _runnable(bundle, machine, runtimes)
    counts = sorted(set(threads))
    configurations = [Configuration(artifact.id, count) for artifact in runnable for count in counts]
    if bundle.manifest.cascade is None:  # the other bundle may have other buckets
        configurations += [
            Configuration(artifact.id, counts[-1], fewer)
            for artifact in runnable
            if (fewer := fewer_buckets(artifact.shapes.buckets))
        ]
    precise = sorted(runnable, key=lambda one: (-PRECISIONS[::-1].index(one.precision), one.evidence.max_abs_diff))
    return Field(tuple(configurations), tuple(Configuration(one.id, counts[-1]) for one in precise), absent)


def fewer_buckets(buckets: Sequence[int]) -> tuple[int, ...]:
    """Every other bucket, counted from the longest; empty where that leaves out none."""
    fewer = tuple(buckets[::-1][::2][::-1])
    return fewer if len(fewer) < len(buckets) else ()


def _runnable(bundle: Bundle, machine: Machine, runtimes: Sequence[Runtime]) -> tuple[list[Artifact], dict[str, str]]:
    runnable: list[Artifact] = []
    absent: dict[str, str] = {}
    for place, (folder, stage) in enumerate(stages(bundle)):
        found = rank(stage.manifest, machine, runtimes)
        ids = {candidate.artifact.id for candidate in found if candidate.runtime is not None}
        if place == 0:
            runnable = [candidate.artifact for candidate in found if candidate.runtime is not None]
            absent |= {one.artifact.id: cannot_run(one).reason for one in found if one.runtime is None}
            continue
        absent |= {one.id: f"{folder} has no such artifact that runs here" for one in runnable if one.id not in ids}
        runnable = [one for one in runnable if one.id in ids]
    return runnable, absent
