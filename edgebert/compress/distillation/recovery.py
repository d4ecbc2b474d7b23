"""What makes a checkpoint smaller at once, and then, if it is wanted, a distillation that lets it recover."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch

from edgebert.compress.distillation.card import CARD_NAME
from edgebert.compress.distillation.checks import check_machine, check_output
from edgebert.compress.distillation.examples import check_files
from edgebert.compress.distillation.facts import FACTS_NAME
from edgebert.compress.distillation.pipeline import Inputs, distill, import_libraries
from edgebert.compress.distillation.progress import Progress
from edgebert.compress.distillation.recipe import Recipe
from edgebert.compress.distillation.scores import Scorer
from edgebert.compress.distillation.store import file_sha256
from edgebert.compress.distillation.teacher import Teacher, transformers_model
from edgebert.compress.distillation.work import WorkFolder
from edgebert.convert.checkpoint import load_checkpoint
from edgebert.convert.evaluation.texts import EvalColumns
from edgebert.convert.tasks import open_evidence
from edgebert.convert.wheelhouse.folder import new_folder
from edgebert.errors import TrainingError
from edgebert.runtime.tokenization import TextTokenizer

_TRAINING_NAME = "training"


@dataclass(frozen=True, slots=True)
class Recovery:
    """A distillation from the whole checkpoint into the smaller one.

    Attributes:
        data: the files to train on.
        recipe: how to train.
        work: the folder for what is needed until the end; the result with ``.partial`` by default.
        resume: continue what is in the work folder; begin, if there is none.
        save_every: steps from one checkpoint of the training to the next.
    """

    data: Sequence[Path]
    recipe: Recipe = field(default_factory=Recipe)
    work: Path | None = None
    resume: bool = False
    save_every: int = 500


@dataclass(frozen=True, slots=True)
class Start:
    """A checkpoint that is made smaller without training.

    Attributes:
        name: what was done to it, such as ``"pruned"``; the folder of this name in the work folder holds it.
        facts_name: the file with its facts; one of them is ``recovery``, which is ``None``.
        arguments: what it depends on, by name; JSON values.
        write: fills an empty folder, the first, with the checkpoint, its card and its facts; the second is for
            temporary files.
    """

    name: str
    facts_name: str
    arguments: Mapping[str, Any]
    write: Callable[[Path, Path], None]


def write_smaller(
    out: Path,
    start: Start,
    recovery: Recovery | None,
    teacher: Teacher,
    *,
    evaluation: Path | None,
    columns: EvalColumns,
    revision: str | None,
    allow_pickle: bool,
    command: Sequence[str],
    progress: Progress,
) -> dict[str, Any]:
    """Writes a smaller checkpoint, trained or not; the result appears whole or not at all.

    Args:
        out: the directory to make.
        start: the smaller checkpoint.
        recovery: how to train it; ``None`` for not at all.
        teacher: the whole checkpoint, from which it learns.
        evaluation: a file with right answers.
        columns: of all files that are tables.
        revision: branch, tag or commit of the whole checkpoint.
        allow_pickle: accept ``pytorch_model.bin``.
        command: the command line.
        progress: is told where it is.

    Returns:
        The facts in ``out``.

    Raises:
        EdgebertError: as :func:`edgebert.compress.distillation.pipeline.distill` does, and ``start.write``.
    """
    if recovery is None:
        with new_folder(out) as (new, scratch, publish):
            start.write(new, scratch)
            facts = _read(new / start.facts_name)
            publish()
        return facts
    work = recovery.work or out.with_name(f"{out.name}.partial")
    folder = WorkFolder(work, start.arguments, resume=recovery.resume)
    training = folder.path / _TRAINING_NAME
    begin, result = folder.path / start.name, folder.path / out.name
    try:
        if not begin.is_dir():
            with new_folder(begin) as (new, scratch, publish):
                start.write(new, scratch)
                publish()
        if not result.is_dir():
            distill(
                teacher.checkpoint.source,
                result,
                Inputs(recovery.data, evaluation, columns),
                init=str(begin),
                recipe=recovery.recipe,
                work=training,
                resume=recovery.resume,
                save_every=recovery.save_every,
                revision=revision,
                allow_pickle=allow_pickle,
                command=command,
                progress=progress,
            )
        facts = _join(out, result, begin, start.facts_name)
        folder.remove()
        return facts
    except BaseException:
        if folder.created and not training.exists() and not result.exists():  # nothing to go on from
            folder.remove()
        raise
    finally:
        folder.close()


def check_recovery(recovery: Recovery | None, out: Path, *, longest: int) -> None:
    """Raises what a distillation would refuse, before any work for its start is done.

    Args:
        recovery: how to train, if at all.
        out: the result.
        longest: the longest input of the checkpoint in tokens.

    Raises:
        OutputError: the result cannot be written.
        OptionError: a hyper-parameter is not possible.
        DataError: a file cannot be read.
        TrainingError: accelerate is missing, or there are several processes.
    """
    check_output(out)
    if recovery is None:
        return
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise TrainingError(
            "A recovery runs in one process, and a launcher has started several.",
            hint="Make the smaller checkpoint alone, then train it with edgebert distill --init.",
        )
    import_libraries()
    recovery.recipe.check(longest=longest)
    check_machine(recovery.recipe, recovery.save_every, "none", 1)
    check_files(list(recovery.data))
    file_sha256(recovery.data)


def _join(out: Path, result: Path, begin: Path, facts_name: str) -> dict[str, Any]:
    """Puts the trained checkpoint at its place, with what is known of its start."""
    trained = _read(result / FACTS_NAME)
    facts = {
        **_read(begin / facts_name),
        "recovery": {"facts": FACTS_NAME, **{name: trained[name] for name in ("steps", "seconds", "evaluation")}},
    }
    with new_folder(out) as (new, _, publish):
        for path in sorted(result.iterdir()):
            (new / path.name).write_bytes(path.read_bytes())
        write_facts(new / facts_name, facts)
        before = (begin / CARD_NAME).read_text(encoding="utf-8").partition("\n# ")[2].partition("\n")[2]
        with (new / CARD_NAME).open("a", encoding="utf-8") as card:
            card.write(f"\n## Before the training\n{before}")
        publish()
    return facts


def open_scorer(teacher: Teacher, evaluation: Path | None, columns: EvalColumns) -> Scorer | None:
    """What scores the whole checkpoint and a smaller one, if there is a file with right answers.

    Raises:
        DataError: the file is not usable.
    """
    if evaluation is None:
        return None
    checkpoint = teacher.checkpoint
    tokenizer = TextTokenizer(checkpoint.tokenizer_json, max_length=checkpoint.max_length, pad_id=checkpoint.pad_id)
    evidence = open_evidence(teacher.task, tokenizer)
    return Scorer(teacher, evidence, tokenizer, evidence.read(evaluation, columns, None), torch.device("cpu"))


def score_stored(folder: Path, scorer: Scorer | None) -> dict[str, Any] | None:
    """Reads a smaller checkpoint back from the disk, and scores it if there is something to score with.

    Returns:
        JSON values of :class:`edgebert.compress.distillation.facts.Evaluation`.

    Raises:
        CheckpointError: what was written is not what ``edgebert convert`` takes.
    """
    stored = load_checkpoint(str(folder))
    return None if scorer is None else asdict(scorer(transformers_model(stored)))


def scores_told(measured: Mapping[str, Any] | None, name: str) -> list[str]:
    """The lines of a card with the scores before any training; ``name`` says what was done to the checkpoint."""
    if measured is None:
        return ["How well it answers was not measured.", ""]
    rows = [
        f"| {metric} | {measured['teacher'][metric]:.4f} | {value:.4f} |"
        for metric, value in measured["student"].items()
    ]
    told = f"On {measured['rows']:,} rows (SHA-256 `{measured['sha256']}`), in float32, without training."
    return [f"| metric | whole | {name} |", "|---|---:|---:|", *rows, "", told, ""]


def write_facts(path: Path, facts: Mapping[str, Any]) -> None:
    """Writes facts as JSON, one a line: long lists stay readable."""
    lines = [f" {json.dumps(name)}: {json.dumps(value, ensure_ascii=False)}" for name, value in facts.items()]
    path.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


def _read(path: Path) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return value
