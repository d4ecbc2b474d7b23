"""Dropping layers of a checkpoint: what a student of the same width begins with."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from edgebert.bundle.interrupt import hold_interrupt
from edgebert.compress.distillation.card import CARD_NAME
from edgebert.compress.distillation.origin import described, now, versions
from edgebert.compress.distillation.progress import Progress, Silent
from edgebert.compress.distillation.recovery import (
    Recovery,
    Start,
    check_recovery,
    open_scorer,
    score_stored,
    scores_told,
    write_facts,
    write_smaller,
)
from edgebert.compress.distillation.result import write_checkpoint
from edgebert.compress.distillation.store import file_sha256
from edgebert.compress.distillation.student import Sizes, check_layers, new_student
from edgebert.compress.distillation.teacher import Teacher, load_teacher, parameters, plain_path
from edgebert.convert.evaluation.texts import EvalColumns
from edgebert.convert.quiet import captured_output
from edgebert.errors import CheckpointError, OptionError

DROP_NAME = "drop.json"


@dataclass(frozen=True, slots=True)
class DropFacts:
    """What was done; all values are those of JSON.

    Attributes:
        checkpoint: path or hub name, class, number of parameters, and the SHA-256 of each file read.
        kept: the layers that were kept, counted from 0.
        layers: how many there were.
        parameters: how many the result has.
        evaluation: the metrics of the checkpoint (``teacher``) and of the one with fewer layers before any training
            (``student``), if there was an evaluation file.
        recovery: steps, seconds and metrics of the training afterwards, whose facts are in ``distill.json``.
        versions: of the tools.
        command: the command line.
        created: RFC 3339, UTC.
    """

    checkpoint: Mapping[str, Any]
    kept: Sequence[int]
    layers: int
    parameters: int
    evaluation: Mapping[str, Any] | None
    recovery: Mapping[str, Any] | None
    versions: Mapping[str, str]
    command: Sequence[str]
    created: str

    def to_dict(self) -> dict[str, Any]:
        """JSON values."""
        return asdict(self)


def drop_layers(
    checkpoint: str,
    out: Path,
    keep: Sequence[int],
    *,
    columns: EvalColumns | None = None,
    evaluation: Path | None = None,
    recovery: Recovery | None = None,
    revision: str | None = None,
    allow_pickle: bool = False,
    command: Sequence[str] = (),
    progress: Progress | None = None,
) -> DropFacts:
    """Writes a checkpoint with some of its layers, as a DistilBERT; every other weight stays, without ``recovery``.

    Args:
        checkpoint: a BERT or DistilBERT directory with a head, or a name on the Hugging Face hub.
        out: the directory to make.
        keep: the layers to keep, from 0, ascending.
        columns: of all files that are tables.
        evaluation: a file with right answers, to score the checkpoint before and after.
        recovery: a distillation from the whole checkpoint afterwards.
        revision: branch, tag or commit, for a hub name.
        allow_pickle: accept ``pytorch_model.bin``.
        command: the command line, for ``drop.json``.
        progress: is told where it is.

    Returns:
        What ``drop.json`` in ``out`` holds as well.

    Raises:
        CheckpointError: it cannot be loaded, is of another kind, or is a BERT classifier, whose head DistilBERT lacks.
        OptionError: there are no such layers, or none would be dropped.
        OutputError: ``out`` exists or cannot be written, or the work folder is another run's.
        DataError: a file is not usable.
        TrainingError: as :func:`edgebert.compress.distillation.pipeline.distill` does, with ``recovery``.
    """
    progress, columns = progress or Silent(), columns or EvalColumns()
    with captured_output(), hold_interrupt():
        import optimum.exporters.tasks  # noqa: F401
        from transformers import DistilBertModel  # noqa: F401
        from transformers.utils import logging

        logging.disable_progress_bar()
    loaded = load_teacher(checkpoint, revision=revision, allow_pickle=allow_pickle)
    _check(loaded, keep)
    check_recovery(recovery, out, longest=loaded.checkpoint.max_length)
    scorer = open_scorer(loaded, evaluation, columns)
    config = loaded.distilbert.config
    sizes = Sizes(len(keep), config["dim"], config["n_heads"], config["hidden_dim"], tuple(keep))

    def write(folder: Path, scratch: Path) -> None:
        model = new_student(loaded.distilbert, sizes, seed=0)
        write_checkpoint(folder, model, loaded)
        if scorer is not None:
            progress.stage("scoring before and after")
        facts = DropFacts(
            checkpoint=described(loaded.checkpoint),
            kept=tuple(keep),
            layers=config["n_layers"],
            parameters=parameters(model),
            evaluation=score_stored(folder, scorer),
            recovery=None,
            versions=versions(),
            command=tuple(command),
            created=now(),
        )
        write_facts(folder / DROP_NAME, facts.to_dict())
        (folder / CARD_NAME).write_text(_card(facts, loaded, out.name), encoding="utf-8")

    arguments = {
        "checkpoint": dict(loaded.checkpoint.files),
        "keep": list(keep),
        "evaluation": None if evaluation is None else file_sha256([evaluation]),
    }
    written = write_smaller(
        out,
        Start("dropped", DROP_NAME, arguments, write),
        recovery,
        loaded,
        evaluation=evaluation,
        columns=columns,
        revision=revision,
        allow_pickle=allow_pickle,
        command=command,
        progress=progress,
    )
    return DropFacts(**written)


def _check(loaded: Teacher, keep: Sequence[int]) -> None:
    of = loaded.distilbert.config["n_layers"]
    check_layers(keep, of, "keep")
    if loaded.reads_types and loaded.task.name == "text-classification":
        raise CheckpointError(
            f"{loaded.checkpoint.source}: a BERT classifier has tanh in its head where a DistilBERT has ReLU: without "
            "training it would answer otherwise.",
            hint=f"Train it: edgebert distill --take-layers {','.join(map(str, keep))}.",
        )
    if len(keep) == of and not loaded.reads_types:
        raise OptionError(f"All {of} layers are kept.", option="keep", hint="Leave out those to drop.")


def _card(facts: DropFacts, loaded: Teacher, name: str) -> str:
    lines = [
        "---",
        "library_name: transformers",
        f"pipeline_tag: {loaded.task.name}",
        "tags: [distilbert]",
        *([f"metrics: [{', '.join(facts.evaluation['student'])}]"] if facts.evaluation else []),
        "---",
        "",
        f"# {name}",
        "",
        f"`{plain_path(loaded.checkpoint.source)}` with {len(facts.kept)} of its {facts.layers} layers: "
        f"{', '.join(map(str, facts.kept))}. Nothing was trained. {facts.parameters:,} parameters; the whole has "
        f"{facts.checkpoint['parameters']:,}.",
        "",
        *scores_told(facts.evaluation, "dropped"),
        *(["```", shlex.join(facts.command), "```", ""] if facts.command else []),
        f"The SHA-256 of its files is in `{DROP_NAME}`.",
    ]
    return "\n".join(lines) + "\n"
