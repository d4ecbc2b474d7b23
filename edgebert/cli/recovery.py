"""The options of a recovery, for the verbs that make a checkpoint smaller at once."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from edgebert.cli import options

_OPTIONS = (
    click.option(
        "--eval", "evaluation", type=options.PATH, metavar="FILE",
        help="Right answers, to score before and after with the task's metrics, as for `edgebert convert`.",
    ),
    click.option("--text-column", metavar="NAME", help="Column of the text in tables.  [default: found]"),
    click.option("--pair-column", metavar="NAME", help="Column of the second text of a pair.  [default: found]"),
    click.option("--label-column", metavar="NAME", help="Column of the right answer.  [default: found]"),
    click.option(
        "--recover", type=options.PATH, multiple=True, metavar="FILE",
        help="Then train the result on this file to answer as CHECKPOINT does, as `edgebert distill --data` would. "
        "May be repeated.",
    ),
    click.option(
        "--epochs", type=click.IntRange(1), default=3, show_default=True, metavar="N",
        help="Of the recovery: passes over its data.",
    ),
    click.option(
        "--max-steps", type=click.IntRange(1), metavar="N",
        help="Of the recovery: end after so many steps, whatever --epochs says.",
    ),
    click.option(
        "--batch-size", type=click.IntRange(1), default=32, show_default=True, metavar="N",
        help="Of the recovery: examples of a step.",
    ),
    click.option(
        "--learning-rate", type=float, default=5e-5, show_default=True, metavar="X",
        help="Of the recovery: the highest, after the warm-up.",
    ),
    click.option(
        "--precision", type=click.Choice(["fp32", "bf16", "fp16"]), default="fp32", show_default=True,
        help="Of the recovery: its arithmetic; weights stay float32.",
    ),
    click.option(
        "--work", type=options.PATH, metavar="DIR",
        help="Of the recovery: what is needed until the end.  [default: OUT.partial]",
    ),
    click.option("--resume", is_flag=True, help="Continue the recovery in the work folder, if there is one."),
    click.option(
        "--save-every", type=click.IntRange(1), default=500, show_default=True, metavar="N",
        help="Of the recovery: steps between two checkpoints to continue from.",
    ),
)  # fmt: skip
_TRAINING = ("epochs", "max_steps", "batch_size", "learning_rate", "precision", "work", "resume", "save_every")


def recovery_options(command: Callable[..., None]) -> Callable[..., None]:
    """Adds ``--eval``, ``--recover`` and what belongs to them.

    The command gets ``evaluation``, ``columns`` and ``recovery`` of them, the last ``None`` without ``--recover``.
    """

    @functools.wraps(command)
    def collected(recover: tuple[Path, ...], **given: Any) -> None:  # noqa: ANN401 (what click has read)
        training = {name: given.pop(name) for name in _TRAINING}
        if not recover:
            _refuse_without_data()
        from edgebert.compress.distillation.recipe import Recipe
        from edgebert.compress.distillation.recovery import Recovery
        from edgebert.convert.evaluation.texts import EvalColumns

        columns = EvalColumns(*(given.pop(f"{name}_column") for name in ("text", "pair", "label")))
        recovery = None
        if recover:
            work, resume, save_every = (training.pop(name) for name in ("work", "resume", "save_every"))
            recovery = Recovery(recover, Recipe(**training), work, resume, save_every)
        command(columns=columns, recovery=recovery, **given)

    for option in reversed(_OPTIONS):
        collected = option(collected)
    return collected


def _refuse_without_data() -> None:
    context = click.get_current_context()
    for name in _TRAINING:
        if context.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE:
            raise click.UsageError(f"--{name.replace('_', '-')} is of a recovery: give --recover as well.")
