"""What looking for a plan gives."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from pathlib import Path

from edgebert.runtime.plans.key import PlanKey


class Fault(enum.Enum):
    """Why a plan is not used."""

    STALE = "stale"
    """It is of this artifact and this GPU, and was built with other versions, or by another recipe."""
    FOREIGN = "foreign"
    """Somebody else may have written it, it does not belong there, or it was built for another GPU or platform."""
    CORRUPTED = "corrupted"
    """It is not what its header says, or cannot be read."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """A plan, or the folder of all, that is not used: where it lies, and why."""

    path: Path
    fault: Fault
    reason: str

    def __str__(self) -> str:
        return f"the plan at {str(self.path)!a} is {self.fault.value}: {self.reason}"


@dataclass(frozen=True, slots=True)
class Found:
    """A plan, checked against its SHA-256, or ``None``; then ``refusals`` tells what was there and is not used."""

    plan: bytes | None
    refusals: tuple[Refusal, ...] = ()


@dataclass(frozen=True, slots=True)
class Entry:
    """A file of the cache, its size in bytes, and what it was built for; or, where that cannot be said, why not."""

    path: Path
    size: int
    key: PlanKey | None
    refusal: Refusal | None
