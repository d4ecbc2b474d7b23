"""What a measured ranking holds for: a bundle, a device, and the versions of what runs it."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from math import log2

from edgebert._version import __version__
from edgebert.bundle import Bundle, limits
from edgebert.bundle.fields import Field
from edgebert.devices import Machine, Runtime

SHA256 = re.compile(r"[0-9a-f]{64}")
DIGITS = "64 lower-case hexadecimal digits"
MAX_CORES = 1 << 16
_GIB = 1 << 30
_MAX_ISA = 256
_MAX_RUNTIMES = 64


@dataclass(frozen=True, slots=True)
class RankingKey:
    """Everything that a ranking depends on: when any of it changes, it is not used.

    Attributes:
        bundle: digest of the bundle, which covers all of its files, and the bigger bundles of a cascade.
        system: as in :class:`edgebert.devices.Machine`.
        architecture: likewise.
        vendor: likewise.
        model: likewise: the CPU's name, on ARM boards after the board's.
        isa: the features that every core has, sorted.
        logical_cores: within affinity mask and control group, as in :class:`edgebert.devices.Machine`.
        physical_cores: likewise.
        performance_cores: likewise.
        memory_gib: usable memory in GiB, rounded to a power of two, 0 for less than one or unknown: what the kernel
            keeps for itself differs a little from start to start.
        edgebert: the version of EdgeBERT.
        runtimes: distribution -> version, of those that can be used and run artifacts of the bundle.
    """

    bundle: str
    system: str
    architecture: str
    vendor: str
    model: str
    isa: tuple[str, ...]
    logical_cores: int
    physical_cores: int
    performance_cores: int
    memory_gib: int
    edgebert: str
    runtimes: Mapping[str, str]

    def to_json(self) -> str:
        """Canonical JSON: one line of ASCII, keys sorted, no spaces. Equal keys give equal texts."""
        return json.dumps(asdict(self), sort_keys=True, separators=(",", ":"))

    def digest(self) -> str:
        """SHA-256 of the canonical JSON, 64 lower-case hexadecimal digits."""
        return hashlib.sha256(self.to_json().encode("ascii")).hexdigest()

    def differences(self, other: RankingKey) -> list[str]:
        """What this key has otherwise than ``other``, a phrase each: ``"onnxruntime: 1.30 then, 1.31 now"``."""
        said = []
        for name in (field.name for field in fields(self)):
            was, now = getattr(self, name), getattr(other, name)
            if was == now:
                continue
            if name == "bundle":
                said.append("the bundle was another one of the same name")
            elif name == "runtimes":
                names = sorted(was.keys() | now.keys())
                said += [_change(one, was.get(one), now.get(one)) for one in names if was.get(one) != now.get(one)]
            elif name == "isa":
                said.append("the CPU had other instruction sets")
            else:
                said.append(_change(name.replace("_", " "), was, now))
        return said


def key_of(bundle: Bundle, machine: Machine, runtimes: Sequence[Runtime]) -> RankingKey:
    """The key of a bundle here.

    Args:
        bundle: the bundle; of a cascade the one in front.
        machine: the machine to run on.
        runtimes: the known backends, usable or not.
    """
    backends = {artifact.backend for artifact in bundle.manifest.artifacts}
    usable = (one for one in runtimes if one.backend in backends and one.problem is None and one.version)
    memory = machine.memory_bytes / _GIB
    return RankingKey(
        bundle=bundle.digest,
        system=machine.system,
        architecture=machine.architecture,
        vendor=machine.vendor,
        model=machine.model,
        isa=tuple(sorted(machine.isa)),
        logical_cores=machine.logical_cores,
        physical_cores=machine.physical_cores,
        performance_cores=machine.performance_cores,
        memory_gib=1 << round(log2(memory)) if memory >= 1 else 0,
        edgebert=__version__,
        runtimes={one.distribution: str(one.version) for one in usable},
    )


def parse_key(place: Field) -> RankingKey:
    """The key that stands in the file of a ranking.

    Raises:
        ManifestError: it breaks the format.
    """
    field = place.object([field.name for field in fields(RankingKey)])
    runtimes = field["runtimes"].entries(0, _MAX_RUNTIMES)
    return RankingKey(
        bundle=field["bundle"].match(SHA256, DIGITS),
        system=field["system"].argument(),
        architecture=field["architecture"].argument(),
        vendor=field["vendor"].argument(),
        model=field["model"].argument(),
        isa=tuple(item.text(limits.MAX_NAME) for item in field["isa"].array(0, _MAX_ISA)),
        logical_cores=field["logical_cores"].integer(1, MAX_CORES),
        physical_cores=field["physical_cores"].integer(1, MAX_CORES),
        performance_cores=field["performance_cores"].integer(1, MAX_CORES),
        memory_gib=field["memory_gib"].integer(0, 1 << 32),
        edgebert=field["edgebert"].text(limits.MAX_NAME),
        runtimes={name: item.text(limits.MAX_NAME) for name, item in runtimes.items()},
    )


def _change(name: str, was: object, now: object) -> str:
    if was is None:
        return f"{name} is new"
    return f"{name} is gone" if now is None else f"{name}: {was} then, {now} now"
