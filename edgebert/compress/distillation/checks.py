"""What is refused before a distillation begins."""

from __future__ import annotations

import os
from pathlib import Path

import torch

from edgebert.compress.distillation.recipe import REPORTERS, Recipe
from edgebert.compress.distillation.teacher import MASKED_LM, Teacher
from edgebert.errors import CheckpointError, OptionError, OutputError

MODES = ("auto", "task", "mlm")


def check_output(out: Path) -> None:
    """Raises ``OutputError`` for a result that cannot be written, before the work starts."""
    if os.path.lexists(out):
        raise OutputError(f"'{out}' exists already.", hint="Choose another folder, or remove it first.")
    if not out.absolute().parent.is_dir():
        raise OutputError(
            f"Cannot write '{out}': '{out.absolute().parent}' is no folder.", hint="Create the folder first."
        )


def check_mode(mode: str, teacher: Teacher) -> None:
    """Raises ``CheckpointError`` where the mode is not the teacher's, ``OptionError`` where there is no such mode."""
    if mode not in MODES:
        raise OptionError(f"mode={mode!r} is not allowed.", option="mode", hint=f"Use one of {', '.join(MODES)}.")
    own = "mlm" if teacher.task.name == MASKED_LM else "task"
    if mode not in ("auto", own):
        needs = "a masked language model" if mode == "mlm" else "a model with a task"
        raise CheckpointError(
            f"{teacher.checkpoint.source}: mode {mode} needs {needs}; this is a {teacher.checkpoint.architecture}.",
            hint=f"Leave --mode out, or use {own}.",
        )


def check_machine(recipe: Recipe, save_every: int, report_to: str, processes: int) -> None:
    """Raises ``OptionError`` for what cannot be trained here: the batch, the precision, the reports."""
    if save_every < 1:
        raise OptionError(f"save_every={save_every} is not allowed.", option="save_every", hint="Use at least 1.")
    if recipe.batch_size % processes:
        raise OptionError(
            f"A batch of {recipe.batch_size} cannot be shared by {processes} processes without remainder.",
            option="batch_size",
            hint=f"Use a multiple of {processes}; it counts the examples on all devices together.",
        )
    if recipe.precision == "fp16" and not torch.cuda.is_available():
        raise OptionError(
            "precision=fp16 needs a GPU, and there is none.", option="precision", hint="Use bf16 or fp32."
        )
    if report_to not in REPORTERS:
        raise OptionError(
            f"report_to={report_to!r} is not allowed.", option="report_to", hint=f"Use one of {', '.join(REPORTERS)}."
        )
    from transformers.integrations import is_tensorboard_available, is_wandb_available

    there = {"none": lambda: True, "tensorboard": is_tensorboard_available, "wandb": is_wandb_available}
    if not there[report_to]():
        raise OptionError(
            f"report_to={report_to} needs the Python package {report_to}, which is not installed.",
            option="report_to",
            hint=f"pip install {report_to}, or leave --report-to out.",
        )
