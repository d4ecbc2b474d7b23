"""Which artifacts of a bundle can run on a machine, and in which order to try them."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from edgebert.bundle.schema import Artifact, Manifest, Profile, Requires, Shapes
from edgebert.devices import Machine, Runtime, version_at_least
from edgebert.errors import SelectionError

if TYPE_CHECKING:
    from edgebert.devices.gpu import GpuReport


def ask_driver() -> GpuReport:
    """The GPUs of this machine, as :func:`edgebert.devices.gpu.find_gpus` finds them."""
    from edgebert.devices.gpu import find_gpus  # ctypes and subprocess, which few loads need

    return find_gpus()


@dataclass(frozen=True, slots=True)
class Configuration:
    """An artifact, and how it is run.

    Attributes:
        artifact: id of the artifact.
        threads: compute threads.
        buckets: of an artifact with static shapes those that are used, ascending, the last one being its longest;
            empty for all of them, and for dynamic shapes.
    """

    artifact: str
    threads: int
    buckets: tuple[int, ...] = ()

    def shapes(self, shapes: Shapes) -> Shapes:
        """The artifact's shapes without the buckets that are not used; all of them where these are not its own."""
        own = shapes.buckets
        if not self.buckets or self.buckets[-1:] != own[-1:] or not set(self.buckets) <= set(own):
            return shapes
        return replace(shapes, buckets=self.buckets)

    def __str__(self) -> str:
        threads = f"{self.threads} thread{'s' if self.threads > 1 else ''}"
        buckets = f", buckets {', '.join(map(str, self.buckets))}" if self.buckets else ""
        return f"{self.artifact}, {threads}{buckets}"


@dataclass(frozen=True, slots=True)
class Measured:
    """What a measured ranking says: the configurations that answer rightly here, best first.

    Artifacts of which only configurations that were ``refused`` for their answers are known come last of all.
    """

    configurations: tuple[Configuration, ...]
    refused: frozenset[str] = frozenset()

    def with_threads(self, threads: int | None) -> Measured:
        """What of it is about this number of threads; ``None`` for all."""
        if threads is None:
            return self
        return replace(self, configurations=tuple(one for one in self.configurations if one.threads == threads))


@dataclass(frozen=True, slots=True)
class Candidate:
    """An artifact, and whether this machine can run it.

    Attributes:
        artifact: the artifact; of its buckets those that are used.
        profile: the profile that ranked it; ``None`` for an artifact that no matching profile names.
        runtime: the installed backend to run it with; ``None`` when it cannot run.
        reason: why it cannot run; ``None`` when it can.
        install: the line that installs what is missing; empty when installing something does not help.
        measured: how it is run by a ranking that was measured; ``None`` where there is none, or not of this artifact.
    """

    artifact: Artifact
    profile: Profile | None
    runtime: Runtime | None
    reason: str | None
    install: str = ""
    measured: Configuration | None = None


def rank(
    manifest: Manifest,
    machine: Machine,
    runtimes: Sequence[Runtime],
    *,
    artifact: str | None = None,
    backend: str | None = None,
    precision: str | None = None,
    measured: Measured | None = None,
    find_gpus: Callable[[], GpuReport] = ask_driver,
) -> list[Candidate]:
    """Every artifact that the pins allow, best first for this machine.

    The order is that of a ranking that was measured, where there is one. Else, and for artifacts that it does not hold,
    it is that of the profiles that match the machine, the most specific first (with an accelerator that is here,
    then with a vendor, then with an architecture, then any), and last those whose accelerator is not here; artifacts
    that none of them names follow in manifest order.

    Args:
        manifest: the bundle's manifest.
        machine: the machine to run on.
        runtimes: the known backends, usable or not, in order of preference.
        artifact: only the artifact with this id.
        backend: only artifacts for this backend.
        precision: only artifacts of this precision.
        measured: what was measured of the bundle on this machine.
        find_gpus: asks for the GPUs of the machine; called once, and only when an artifact that may run here, or a
            profile that matches otherwise, requires one.

    Raises:
        SelectionError: no artifact of the bundle is what the pins ask for.
    """
    _check_pin("artifact", artifact, [a.id for a in manifest.artifacts])
    _check_pin("backend", backend, [a.backend for a in manifest.artifacts])
    _check_pin("precision", precision, [a.precision for a in manifest.artifacts])
    find_once = functools.cache(find_gpus)
    candidates = [
        judge(item, profile, machine, runtimes, find_once)
        for item, profile in _order(manifest, machine, find_once)
        if artifact in (None, item.id) and backend in (None, item.backend) and precision in (None, item.precision)
    ]
    if not candidates:
        pins = {"artifact": artifact, "backend": backend, "precision": precision}
        asked = ", ".join(f"{name}={value!r}" for name, value in pins.items() if value is not None)
        raise SelectionError(f"The bundle has no artifact with {asked}.", hint=_inventory(manifest))
    return candidates if measured is None else _by_measurement(candidates, measured)


def _by_measurement(candidates: Sequence[Candidate], measured: Measured) -> list[Candidate]:
    best: dict[str, Configuration] = {}
    for configuration in measured.configurations:
        best.setdefault(configuration.artifact, configuration)
    by_id = {candidate.artifact.id: candidate for candidate in candidates}
    ranked = [_run_as(by_id[name], configuration) for name, configuration in best.items() if name in by_id]
    others = [candidate for candidate in candidates if candidate.artifact.id not in best]
    # Stable: both parts of the others stay in the order of the profiles.
    return ranked + sorted(others, key=lambda candidate: candidate.artifact.id in measured.refused)


def _run_as(candidate: Candidate, configuration: Configuration) -> Candidate:
    artifact = replace(candidate.artifact, shapes=configuration.shapes(candidate.artifact.shapes))
    return replace(candidate, artifact=artifact, measured=configuration)


def _check_pin(name: str, value: str | None, present: list[str]) -> None:
    if value is not None and value not in present:
        raise SelectionError(
            f"The bundle has no {name} {value!r}.", hint=f"It has: {', '.join(dict.fromkeys(present))}."
        )


def _inventory(manifest: Manifest) -> str:
    return f"It has: {', '.join(a.id for a in manifest.artifacts)}."


def _order(
    manifest: Manifest, machine: Machine, find_gpus: Callable[[], GpuReport]
) -> list[tuple[Artifact, Profile | None]]:
    matching = [profile for profile in manifest.profiles if _matches(profile, machine)]
    # Stable: equal profiles stay in manifest order.
    matching.sort(key=lambda profile: _specificity(profile, find_gpus), reverse=True)
    ranked: dict[str, Profile | None] = {}
    for profile in matching:
        for artifact_id in profile.order:
            ranked.setdefault(artifact_id, profile)
    for artifact in manifest.artifacts:
        ranked.setdefault(artifact.id, None)
    return [(manifest.artifact(artifact_id), profile) for artifact_id, profile in ranked.items()]


def _matches(profile: Profile, machine: Machine) -> bool:
    architecture = not profile.architectures or machine.architecture in profile.architectures
    # A size that is unknown (0) is given the benefit of the doubt.
    memory = not machine.memory_bytes or machine.memory_bytes >= (profile.memory_mb or 0) * 10**6
    features = machine.isa.issuperset(profile.isa)
    return architecture and memory and features and profile.vendor in (None, machine.vendor)


def _specificity(profile: Profile, find_gpus: Callable[[], GpuReport]) -> tuple[int, bool, bool]:
    # Without its accelerator, a profile's order of what is left is still better than none.
    accelerator = 0 if profile.accelerator is None else 1 if _has(profile.accelerator, find_gpus) else -1
    return accelerator, profile.vendor is not None, bool(profile.architectures)


def _has(accelerator: str, find_gpus: Callable[[], GpuReport]) -> bool:
    return accelerator == "cuda" and find_gpus().problem is None


def judge(
    artifact: Artifact,
    profile: Profile | None,
    machine: Machine,
    runtimes: Sequence[Runtime],
    find_gpus: Callable[[], GpuReport] = ask_driver,
) -> Candidate:
    """Whether a machine can run an artifact, and with which of the known ``runtimes``: the first one allowed.

    ``find_gpus`` is called only when the artifact requires a GPU, and the CPU is one that it runs on.
    """
    requires = artifact.requires
    reason = _missing_hardware(requires, machine, find_gpus)
    if reason is not None:
        return Candidate(artifact, profile, None, reason)
    known = [r for r in runtimes if r.backend == artifact.backend]
    allowed = [r for r in known if r.distribution in requires.runtimes]
    for runtime in allowed:
        if runtime.problem is None and _recent(runtime, requires):
            return Candidate(artifact, profile, runtime, None)
    needs = " or ".join(f"{name} >= {minimum}" for name, minimum in requires.runtimes.items())
    found = [f"{r.distribution} {r.version}: {_fault(r, requires)}" for r in known if r.version is not None]
    reason = f"needs {needs}; " + ("; ".join(found) if found else "not installed")
    return Candidate(artifact, profile, None, reason, next((r.install for r in allowed), ""))


def _missing_hardware(requires: Requires, machine: Machine, find_gpus: Callable[[], GpuReport]) -> str | None:
    if requires.architectures and machine.architecture not in requires.architectures:
        return f"needs a CPU of architecture {' or '.join(requires.architectures)}; this is {machine.architecture}"
    missing = [feature for feature in requires.isa if feature not in machine.isa]
    if missing:
        return f"needs a CPU with {', '.join(missing)}"
    if requires.accelerator == "cuda":
        problem = find_gpus().problem
        return None if problem is None else f"needs an NVIDIA GPU; {problem}"
    if requires.accelerator is not None:
        return f"needs the accelerator {requires.accelerator}, which this EdgeBERT cannot use"
    return None


def _recent(runtime: Runtime, requires: Requires) -> bool:
    return runtime.version is not None and version_at_least(runtime.version, requires.runtimes[runtime.distribution])


def _fault(runtime: Runtime, requires: Requires) -> str:
    if runtime.problem is not None:
        return runtime.problem
    if runtime.distribution not in requires.runtimes:
        return "not enough for this artifact"
    return "too old"
