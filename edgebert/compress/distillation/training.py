"""A training from its first step, or its last checkpoint, to its end."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import PrinterCallback, TrainerCallback, TrainingArguments

from edgebert.compress.distillation.answers import ask_teacher
from edgebert.compress.distillation.batches import Collator
from edgebert.compress.distillation.progress import Progress
from edgebert.compress.distillation.recipe import Recipe
from edgebert.compress.distillation.store import TrainingData, read_facts, steps_per_epoch
from edgebert.compress.distillation.teacher import Teacher
from edgebert.compress.distillation.trainer import (
    Announce,
    CompleteCheckpoints,
    DistillationTrainer,
    Distilled,
    last_checkpoint,
    steps_of,
)
from edgebert.compress.distillation.work import WorkFolder

_MAX_GRADIENT_NORM = 5.0
"""As in the code of the paper: the weights of the losses sum up to more than one."""
_LOGGED = 100


@dataclass(frozen=True, slots=True)
class Trained:
    """A training that has come to its end: its steps, its losses, the seconds it took, and in how many runs."""

    steps: int
    curve: Sequence[Mapping[str, float]]
    seconds: float
    runs: int


def train(
    student: nn.Module,
    teacher: Teacher,
    recipe: Recipe,
    *,
    work: Path,
    folder: WorkFolder | None,
    separator: int,
    masking: Mapping[str, Any] | None,
    save_every: int,
    report_to: str,
    logs: Path,
    progress: Progress,
) -> Trained:
    """Trains the student in place, on all processes together.

    Args:
        student: a DistilBERT with a head.
        teacher: the teacher.
        recipe: how.
        work: the work folder, with its data.
        folder: the same in the process that has it; ``None`` in the others.
        separator: the id of ``[SEP]``.
        masking: arguments of ``mask_words`` for a masked language model.
        save_every: steps between checkpoints.
        report_to: one of ``recipe.REPORTERS``.
        logs: the folder for TensorBoard.
        progress: is told the steps, and before them, where the teacher is asked once, its batches.

    Raises:
        EdgebertError: the loss is NaN or infinite.
        OutputError: the disk is full.
    """
    facts = read_facts(work / "data")
    epoch = steps_per_epoch(facts.examples, recipe.batch_size)
    steps = recipe.max_steps or recipe.epochs * epoch
    data = TrainingData(work / "data", batch_size=recipe.batch_size, steps=steps, seed=recipe.seed)
    weights = recipe.weights
    labelled = masking is not None or facts.labelled > 0
    model = Distilled(student, teacher_dim=teacher.distilbert.config["dim"], hidden=weights.cos > 0)
    if report_to == "tensorboard":
        os.environ.setdefault("TENSORBOARD_LOGGING_DIR", str(logs))
    processes = int(os.environ.get("WORLD_SIZE", "1"))
    arguments = TrainingArguments(
        output_dir=str(work / "checkpoints"),
        per_device_train_batch_size=recipe.batch_size // processes,
        max_steps=steps,
        learning_rate=recipe.learning_rate,
        lr_scheduler_type="linear",
        warmup_steps=round(recipe.warmup * steps),
        weight_decay=recipe.weight_decay,
        max_grad_norm=_MAX_GRADIENT_NORM,
        bf16=recipe.precision == "bf16",
        fp16=recipe.precision == "fp16",
        seed=recipe.seed,
        use_cpu=not torch.accelerator.is_available(),
        save_strategy="steps",
        save_steps=save_every,
        save_total_limit=2,
        logging_strategy="steps",
        logging_steps=max(1, steps // _LOGGED),
        logging_nan_inf_filter=False,
        report_to=[report_to],
        disable_tqdm=True,
        log_level="error",
        remove_unused_columns=False,
        dataloader_pin_memory=torch.cuda.is_available(),
        # Of a loss that reads hidden states alone the head has no gradient.
        ddp_find_unused_parameters=not weights.kl and not (weights.task and labelled),
    )
    if arguments.n_gpu > 1:  # nn.DataParallel is not what anybody wants: torchrun spreads a training
        arguments._n_gpu = 1
    timer = _Timer(folder)
    timer.start()
    # What never changes, and is wanted more than once.
    if masking is None and not weights.cos and steps > epoch:
        with folder.writing() if folder is not None else contextlib.nullcontext():
            ask_teacher(
                teacher, data, separator=separator, precision=recipe.precision, arguments=arguments, progress=progress
            )
        data.open_answers()
    trainer = DistillationTrainer(
        teacher=teacher,
        separator=separator,
        weights=weights,
        model=model,
        args=arguments,
        train_dataset=data,
        data_collator=Collator(
            pad_id=teacher.checkpoint.pad_id,
            per_token=facts.label_width < 0 or masking is not None,
            masking=masking,
            seed=recipe.seed,
        ),
        callbacks=[CompleteCheckpoints(), timer, Announce(progress.step)],
    )
    trainer.remove_callback(PrinterCallback)
    last = last_checkpoint(work / "checkpoints")
    progress.stage(f"training {steps:,} steps" if last is None else f"continuing {last.name} of {steps:,} steps")
    with folder.writing() if folder is not None else contextlib.nullcontext():
        trainer.train(resume_from_checkpoint=None if last is None else str(last))
    return Trained(steps, steps_of(trainer.state.log_history), sum(timer.times), len(timer.times))


class _Timer(TrainerCallback):  # type: ignore[misc]
    """Notes how long this run has trained, whenever there is a checkpoint to go on from."""

    def __init__(self, folder: WorkFolder | None) -> None:
        self._folder = folder
        self._began = 0.0
        self.times = [0.0]

    def start(self) -> None:
        before = self._folder.times() if self._folder is not None else []
        self.times = [*before, 0.0]
        self._note()
        self._began = time.monotonic()

    def on_save(self, args: Any, state: Any, control: Any, **rest: Any) -> None:  # noqa: ANN401
        self.times[-1] = time.monotonic() - self._began
        self._note()

    def _note(self) -> None:
        if self._folder is not None:
            self._folder.note_times(self.times)
