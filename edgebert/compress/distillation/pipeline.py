"""Distillation: from a teacher and texts to a smaller checkpoint."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from edgebert.bundle.interrupt import hold_interrupt
from edgebert.compress.distillation.checks import check_machine, check_mode, check_output
from edgebert.compress.distillation.examples import check_files
from edgebert.compress.distillation.facts import Facts
from edgebert.compress.distillation.origin import described, now, versions
from edgebert.compress.distillation.progress import Progress, Silent
from edgebert.compress.distillation.reading import LABEL_WIDTHS, example_files, masking_of
from edgebert.compress.distillation.recipe import Recipe
from edgebert.compress.distillation.result import write_result
from edgebert.compress.distillation.scores import Scorer
from edgebert.compress.distillation.store import file_sha256, read_facts, write_store
from edgebert.compress.distillation.student import Sizes, StudentShape, new_student, student_sizes
from edgebert.compress.distillation.teacher import MASKED_LM, Teacher, load_start, load_teacher, parameters
from edgebert.compress.distillation.work import WorkFolder
from edgebert.convert.checkpoint import Checkpoint
from edgebert.convert.evaluation.texts import EvalColumns
from edgebert.convert.quiet import captured_output
from edgebert.convert.tasks import open_evidence
from edgebert.errors import DataError, OptionError, TrainingError
from edgebert.runtime.tokenization import TextTokenizer

_BYTES = 3 * 12 + 4
"""What a parameter takes on the disk: in three checkpoints its value and AdamW's two moments; once in the result."""


@dataclass(frozen=True, slots=True)
class Inputs:
    """What a student learns from, and is scored on.

    Attributes:
        data: the files to train on; see :class:`edgebert.compress.distillation.examples.ExampleFile`.
        evaluation: a file with right answers, in the form that the task has for ``edgebert convert``.
        columns: columns of both, where they are tables.
        limit: use at most this many rows of the evaluation file.
    """

    data: Sequence[Path]
    evaluation: Path | None = None
    columns: EvalColumns = field(default_factory=EvalColumns)
    limit: int | None = None


def distill(
    teacher: str,
    out: Path,
    inputs: Inputs,
    *,
    shape: StudentShape | None = None,
    init: str | None = None,
    recipe: Recipe | None = None,
    mode: str = "auto",
    work: Path | None = None,
    resume: bool = False,
    save_every: int = 500,
    report_to: str = "none",
    revision: str | None = None,
    allow_pickle: bool = False,
    command: Sequence[str] = (),
    progress: Progress | None = None,
) -> Facts | None:
    """Trains a smaller DistilBERT to answer as its teacher does (Sanh et al. 2019, arXiv 1910.01108).

    Started by ``torchrun`` or ``accelerate launch``, all processes train one student, and the first one writes it.

    Args:
        teacher: a BERT or DistilBERT directory, or a name on the Hugging Face hub.
        out: the directory to make.
        inputs: what to learn from, and what to score on.
        shape: the student's size; by default half of the teacher's layers.
        init: a DistilBERT with the teacher's vocabulary to begin as, in place of the teacher's layers.
        recipe: how to train.
        mode: ``"task"`` or ``"mlm"``, which must be the teacher's; ``"auto"`` takes whichever it is.
        work: the folder for what is needed until the end; ``out`` with ``.partial`` by default.
        resume: continue what is in the work folder; begin, if there is none.
        save_every: steps from one checkpoint of the training to the next.
        report_to: ``"tensorboard"``, ``"wandb"`` or ``"none"``.
        revision: branch, tag or commit of a teacher on the hub.
        allow_pickle: accept ``pytorch_model.bin``.
        command: the command line, for the provenance.
        progress: is told where it is.

    Returns:
        What was done, as ``distill.json`` in ``out`` says; ``None`` in all processes but the first.

    Raises:
        CheckpointError: a checkpoint cannot be a teacher, or a start for its student.
        DataError: a file of texts is not usable, or is empty.
        OptionError: a size or a hyper-parameter is not possible.
        OutputError: ``out`` exists, the work folder is another run's, or a disk is full.
        TrainingError: accelerate is missing, or the loss became NaN or infinite; the last good checkpoint is kept.
    """
    progress, recipe = progress or Silent(), recipe or Recipe()
    check_output(out)
    check_files(list(inputs.data))
    work = work or out.with_name(f"{out.name}.partial")
    progress.stage("loading the libraries")
    state = import_libraries()
    progress.stage("reading the teacher")
    loaded = load_teacher(teacher, revision=revision, allow_pickle=allow_pickle)
    check_mode(mode, loaded)
    start = None if init is None else load_start(init, loaded, allow_pickle=allow_pickle)
    sizes = _sizes(loaded, shape or StudentShape(), start)
    longest = min(one.max_length for one in (loaded.checkpoint, start) if one is not None)
    recipe.check(longest=longest)
    check_machine(recipe, save_every, report_to, state.num_processes)
    tokenizer = TextTokenizer(loaded.checkpoint.tokenizer_json, max_length=longest, pad_id=loaded.checkpoint.pad_id)
    evidence = open_evidence(loaded.task, tokenizer)
    answers = None
    if state.is_main_process and inputs.evaluation is not None:
        answers = evidence.read(inputs.evaluation, inputs.columns, inputs.limit)

    arguments = _arguments(loaded, sizes, start, recipe, inputs, state.num_processes)
    folder = None
    if state.is_main_process:
        folder = WorkFolder(work, arguments, resume=resume)
    try:
        if folder is not None:
            with _undone(folder):
                _prepare_data(folder, loaded, inputs, tokenizer, recipe, progress)
        state.wait_for_everyone()
        from edgebert.compress.distillation.training import train

        student = new_student(loaded.distilbert, sizes, recipe.seed, start)
        if folder is not None:
            with _undone(folder):
                folder.check_space(_BYTES * parameters(student))
        done = train(
            student,
            loaded,
            recipe,
            work=work,
            folder=folder,
            separator=int(tokenizer.encode("")[0].input_ids[-1]),
            masking=masking_of(loaded, tokenizer),
            save_every=save_every,
            report_to=report_to,
            logs=out.with_name(f"{out.name}.tensorboard"),
            progress=progress,
        )
        if folder is None:
            return None
        facts = Facts(
            task=loaded.task.name,
            teacher=described(loaded.checkpoint),
            init=None if start is None else described(start),
            student={
                "architecture": loaded.distilbert.architecture,
                "layers": sizes.layers,
                "dim": sizes.dim,
                "heads": sizes.heads,
                "hidden_dim": sizes.hidden_dim,
                "parameters": parameters(student),
                "taken": None if sizes.taken is None else list(sizes.taken),
            },
            data=read_facts(folder.data),
            recipe=recipe.to_dict(),
            steps=done.steps,
            processes=state.num_processes,
            device=str(state.device),
            seconds=round(done.seconds, 1),
            runs=done.runs,
            curve=done.curve,
            evaluation=None,
            versions=versions(),
            command=tuple(command),
            created=now(),
        )
        scorer = None
        if answers is not None:
            scorer = Scorer(loaded, evidence, tokenizer, answers, state.device)
        progress.stage("writing the student" if scorer is None else "scoring teacher and student")
        facts = write_result(out, student, loaded, facts, scorer)
        folder.remove()
        return facts
    finally:
        if folder is not None:
            folder.close()


def import_libraries() -> Any:  # noqa: ANN401 (accelerate has no types)
    """Loads the big libraries here, where what they print on import is dropped; joins the other processes.

    Returns:
        The ``accelerate.PartialState`` of this process.

    Raises:
        TrainingError: accelerate is missing.
    """
    with captured_output(), hold_interrupt():
        try:
            from accelerate import PartialState
        except ImportError as error:
            raise TrainingError(
                "Distillation needs the Python package accelerate, which is not installed.",
                hint='pip install "edgebert[compress]".',
            ) from error
        import optimum.exporters.tasks  # noqa: F401
        from transformers import Trainer  # noqa: F401
        from transformers.utils import logging

        logging.set_verbosity_error()
        logging.disable_progress_bar()
        return PartialState(cpu=not torch.accelerator.is_available())


def _sizes(teacher: Teacher, shape: StudentShape, start: Checkpoint | None) -> Sizes:
    if start is None:
        return student_sizes(shape, teacher.distilbert.config)
    if shape != StudentShape():
        raise OptionError(
            "A student that begins as a checkpoint has its size.", option="init", hint="Leave the sizes out, or --init."
        )
    config = start.config
    return Sizes(config["n_layers"], config["dim"], config["n_heads"], config["hidden_dim"], None)


def _arguments(
    teacher: Teacher, sizes: Sizes, start: Checkpoint | None, recipe: Recipe, inputs: Inputs, processes: int
) -> dict[str, Any]:
    """What the result depends on."""
    return {
        "teacher": dict(teacher.checkpoint.files),
        "init": None if start is None else dict(start.files),
        "layers": sizes.layers,
        "dim": sizes.dim,
        "heads": sizes.heads,
        "hidden_dim": sizes.hidden_dim,
        "take_layers": sizes.taken,
        **recipe.to_dict(),
        "data": file_sha256(inputs.data),
        "columns": [inputs.columns.text, inputs.columns.pair, inputs.columns.label],
        "processes": processes,
    }


@contextmanager
def _undone(folder: WorkFolder) -> Iterator[None]:
    """Removes a new work folder when the training does not even begin."""
    try:
        yield
    except BaseException:
        if folder.created:
            folder.remove()
        raise


def _prepare_data(
    folder: WorkFolder,
    teacher: Teacher,
    inputs: Inputs,
    tokenizer: TextTokenizer,
    recipe: Recipe,
    progress: Progress,
) -> None:
    if folder.data.is_dir():
        return
    progress.stage("tokenizing the texts")
    task = teacher.task
    longest = recipe.max_length or tokenizer.max_length
    files = example_files(teacher, inputs.data, inputs.columns, max_length=longest)
    with folder.writing():
        facts = write_store(folder.new_data(), files, LABEL_WIDTHS[task.name])
        if not facts.labelled and task.name != MASKED_LM and not (recipe.weights.kl or recipe.weights.cos):
            raise DataError(
                f"{inputs.data[0]}: no labels, and the losses that need none are switched off.",
                hint="Give --alpha-kl or --alpha-cos a weight, or data with labels.",
            )
        folder.keep_data()
