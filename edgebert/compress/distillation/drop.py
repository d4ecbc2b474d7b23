"""Dropping layers of a checkpoint, without training: what a student of the same width begins with."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from edgebert.bundle.interrupt import hold_interrupt
from edgebert.compress.distillation.card import CARD_NAME
from edgebert.compress.distillation.origin import described, now, versions
from edgebert.compress.distillation.result import write_checkpoint
from edgebert.compress.distillation.student import Sizes, check_layers, new_student
from edgebert.compress.distillation.teacher import Teacher, load_teacher, parameters, plain_path
from edgebert.convert.checkpoint import load_checkpoint
from edgebert.convert.quiet import captured_output
from edgebert.convert.wheelhouse.folder import new_folder
from edgebert.errors import CheckpointError, OptionError

DROP_NAME = "drop.json"


@dataclass(frozen=True, slots=True)
class DropFacts:
    """What was done.

    Attributes:
        checkpoint: path or hub name, class, number of parameters, and the SHA-256 of each file read.
        kept: the layers that were kept, counted from 0.
        layers: how many there were.
        parameters: how many the result has.
        versions: of the tools.
        command: the command line.
        created: RFC 3339, UTC.
    """

    checkpoint: dict[str, Any]
    kept: tuple[int, ...]
    layers: int
    parameters: int
    versions: dict[str, str]
    command: tuple[str, ...]
    created: str

    def to_dict(self) -> dict[str, Any]:
        """JSON values."""
        return asdict(self)


def drop_layers(
    checkpoint: str,
    out: Path,
    keep: Sequence[int],
    *,
    revision: str | None = None,
    allow_pickle: bool = False,
    command: Sequence[str] = (),
) -> DropFacts:
    """Writes a checkpoint with some of its layers, as a DistilBERT; every other weight stays.

    Args:
        checkpoint: a BERT or DistilBERT directory with a head, or a name on the Hugging Face hub.
        out: the directory to make.
        keep: the layers to keep, from 0, ascending.
        revision: branch, tag or commit, for a hub name.
        allow_pickle: accept ``pytorch_model.bin``.
        command: the command line, for ``drop.json``.

    Returns:
        What ``drop.json`` in ``out`` holds as well.

    Raises:
        CheckpointError: it cannot be loaded, is of another kind, or is a BERT classifier, whose head DistilBERT lacks.
        OptionError: there are no such layers, or none would be dropped.
        OutputError: ``out`` exists or cannot be written.
    """
    with captured_output(), hold_interrupt():
        import optimum.exporters.tasks  # noqa: F401
        from transformers import DistilBertConfig  # noqa: F401
        from transformers.utils import logging

        logging.disable_progress_bar()
    loaded = load_teacher(checkpoint, revision=revision, allow_pickle=allow_pickle)
    _check(loaded, keep)
    config = loaded.distilbert.config
    sizes = Sizes(len(keep), config["dim"], config["n_heads"], config["hidden_dim"], tuple(keep))
    model = new_student(loaded.distilbert, sizes, seed=0)
    facts = DropFacts(
        checkpoint=described(loaded.checkpoint),
        kept=tuple(keep),
        layers=config["n_layers"],
        parameters=parameters(model),
        versions=versions(),
        command=tuple(command),
        created=now(),
    )
    with new_folder(out) as (new, _, publish):
        write_checkpoint(new, model, loaded)
        load_checkpoint(str(new))
        (new / DROP_NAME).write_text(json.dumps(facts.to_dict(), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        (new / CARD_NAME).write_text(_card(facts, loaded, out.name), encoding="utf-8")
        publish()
    return facts


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
        "---",
        "",
        f"# {name}",
        "",
        f"`{plain_path(loaded.checkpoint.source)}` with {len(facts.kept)} of its {facts.layers} layers: "
        f"{', '.join(map(str, facts.kept))}. Nothing was trained, and nothing was measured. {facts.parameters:,} "
        f"parameters; the whole has {facts.checkpoint['parameters']:,}.",
        "",
        *(["```", shlex.join(facts.command), "```", ""] if facts.command else []),
        f"The SHA-256 of its files is in `{DROP_NAME}`.",
    ]
    return "\n".join(lines) + "\n"
