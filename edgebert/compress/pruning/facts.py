"""What a pruning did, for ``prune.json`` and for the model card."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from edgebert.compress.distillation.recovery import scores_told
from edgebert.compress.distillation.teacher import plain_path

PRUNE_NAME = "prune.json"


@dataclass(frozen=True, slots=True)
class PruneFacts:
    """What was done; all values are those of JSON.

    Attributes:
        task: the task.
        checkpoint: path or hub name, class, number of parameters, and the SHA-256 of each file read.
        sizes: by name (``heads``, ``dim``, ``hidden_dim``) how many there were and how many there are.
        parameters: how many the result has.
        data: what importance was measured on: the files, and how many examples of how many.
        kept: the numbers of what was kept, from 0: ``heads`` and ``units`` for each layer, ``channels``, ``pooled``.
        scores: the importance of everything, as in ``kept``, to four digits.
        evaluation: the metrics of the checkpoint (``teacher``) and of the pruned one before any training
            (``student``), if there was an evaluation file.
        recovery: steps, seconds and metrics of the training afterwards, whose facts are in ``distill.json``.
        versions: of the tools.
        command: the command line.
        created: RFC 3339, UTC.
    """

    task: str
    checkpoint: Mapping[str, Any]
    sizes: Mapping[str, Sequence[int]]
    parameters: int
    data: Mapping[str, Any]
    kept: Mapping[str, Any]
    scores: Mapping[str, Any]
    evaluation: Mapping[str, Any] | None
    recovery: Mapping[str, Any] | None
    versions: Mapping[str, str]
    command: Sequence[str]
    created: str

    def to_dict(self) -> dict[str, Any]:
        """JSON values."""
        return asdict(self)


def rounded(values: Tensor) -> Any:  # noqa: ANN401 (a list of numbers, or of lists)
    """The values as lists of numbers with four digits."""
    if values.ndim > 1:
        return [rounded(row) for row in values]
    return [float(f"{value:.4g}") for value in values.tolist()]


def sizes_told(sizes: Mapping[str, Sequence[int]]) -> str:
    """The sizes that have changed, for people."""
    names = {"heads": "heads", "dim": "width", "hidden_dim": "feed-forward"}
    return ", ".join(f"{names[name]} {was} -> {now}" for name, (was, now) in sizes.items() if was != now)


def model_card(facts: PruneFacts, name: str) -> str:
    """The model card: YAML front matter, then Markdown.

    Args:
        facts: what was done.
        name: the model's.
    """
    data, measured = facts.data, facts.evaluation
    lines = [
        "---",
        "library_name: transformers",
        f"pipeline_tag: {facts.task}",
        "tags: [distilbert, pruning]",
        *([f"metrics: [{', '.join(measured['student'])}]"] if measured else []),
        "---",
        "",
        f"# {name}",
        "",
        f"`{plain_path(facts.checkpoint['source'])}`, pruned with EdgeBERT: {sizes_told(facts.sizes)}. "
        f"{facts.parameters:,} parameters; the whole has {facts.checkpoint['parameters']:,}. What matters most was "
        f"kept, by |activation x gradient| on {data['measured']:,} of {data['examples']:,} examples "
        f"({', '.join(f'`{file}`' for file in _names(data))}). Nothing was trained.",
        "",
        *scores_told(measured, "pruned"),
        *(["```", shlex.join(facts.command), "```", ""] if facts.command else []),
        f"What was kept, and the score of each part, is in `{PRUNE_NAME}`.",
    ]
    return "\n".join(lines) + "\n"


def _names(data: Mapping[str, Any]) -> list[str]:
    return [Path(file["path"]).name for file in data["files"]]
