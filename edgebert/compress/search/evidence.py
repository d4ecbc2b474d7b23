"""What the evidence of a conversion says of a point."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from edgebert.compress.search.report import Artifact
from edgebert.convert.report import PASSED


@dataclass(frozen=True, slots=True)
class Converted:
    """A conversion.

    Attributes:
        metric: the main metric of the task.
        rows: of the evaluation file.
        parameters: of the checkpoint.
        score: the float32 checkpoint's.
        machine: where it was measured.
        tools: versions by name.
        artifacts: in the order in which a device prefers them.
    """

    metric: str
    rows: int
    parameters: int
    score: float
    machine: Mapping[str, Any]
    tools: Mapping[str, str]
    artifacts: tuple[Artifact, ...]

    @property
    def best(self) -> Artifact | None:
        """The artifact that a device prefers of those that passed."""
        return next((artifact for artifact in self.artifacts if artifact.status == PASSED), None)

    @property
    def refusal(self) -> str:
        """Why artifacts did not pass, or an empty string."""
        return "; ".join(
            f"{artifact.id} {artifact.status}: {', '.join(artifact.reasons)}"
            for artifact in self.artifacts
            if artifact.status != PASSED
        )


def read_evidence(content: bytes | str, preferred: Sequence[str]) -> Converted | None:
    """Reads what ``edgebert convert --json`` prints, and ``evidence.json`` holds.

    Args:
        content: JSON.
        preferred: ids of the target's artifacts, the one that a device takes first before the others.

    Returns:
        What it says; ``None`` where it is no evidence, such as of a conversion that did not come so far.
    """
    try:
        whole = json.loads(content)
        evaluation = whole["evaluation"]
        metric, score = next(iter(evaluation["scores"].items()))
        artifacts = [_artifact(entry) for entry in whole["artifacts"]]
    except (ValueError, KeyError, TypeError, StopIteration):
        return None
    artifacts.sort(key=lambda artifact: preferred.index(artifact.id) if artifact.id in preferred else len(preferred))
    return Converted(
        metric, evaluation["texts"], whole["parameters"], score, whole["machine"], whole["tools"], tuple(artifacts)
    )


def _artifact(entry: Mapping[str, Any]) -> Artifact:
    measured = entry["measurement"]
    scores = measured["scores"] if measured else []
    return Artifact(
        entry["id"], entry["status"], entry["bytes"], scores[0]["value"] if scores else None, tuple(entry["reasons"])
    )
