"""What a distillation did, for ``distill.json`` and for the model card."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from edgebert.compress.distillation.store import StoreFacts

FACTS_NAME = "distill.json"


@dataclass(frozen=True, slots=True)
class Evaluation:
    """An evaluation file, as given, its SHA-256, its rows, and the metrics of teacher and student by name."""

    path: str
    sha256: str
    rows: int
    teacher: Mapping[str, float]
    student: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Facts:
    """What was done.

    Attributes:
        task: the task.
        teacher: its path or hub name, class, number of parameters, and the SHA-256 of each file read.
        init: the checkpoint that the student began as (path, SHA-256 of each file read), or ``None``.
        student: layers, dim, heads, hidden_dim, parameters, and the teacher's layers it began with (or ``None``).
        data: the training data.
        recipe: the hyper-parameters by name.
        steps: how many steps were trained.
        processes: how many processes trained.
        device: where, such as ``cpu``.
        seconds: what the training took, over all its runs.
        runs: how often it was begun or resumed.
        curve: per entry ``step``, ``loss``, ``kl``, ``task``, ``cos``: means since the entry before.
        evaluation: the scores, if there was an evaluation file.
        versions: of the tools.
        command: the command line.
        created: RFC 3339, UTC.
    """

    task: str
    teacher: Mapping[str, Any]
    init: Mapping[str, Any] | None
    student: Mapping[str, Any]
    data: StoreFacts
    recipe: Mapping[str, Any]
    steps: int
    processes: int
    device: str
    seconds: float
    runs: int
    curve: Sequence[Mapping[str, float]]
    evaluation: Evaluation | None
    versions: Mapping[str, str]
    command: Sequence[str]
    created: str

    def to_dict(self) -> dict[str, Any]:
        """JSON values."""
        return asdict(self)
