"""The student as an ordinary directory of transformers, written whole or not at all."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from edgebert.compress.distillation.card import CARD_NAME, PLOT_NAME, model_card
from edgebert.compress.distillation.curve import loss_plot
from edgebert.compress.distillation.facts import FACTS_NAME, Evaluation, Facts
from edgebert.compress.distillation.teacher import Teacher, transformers_model
from edgebert.convert.checkpoint import load_checkpoint
from edgebert.convert.wheelhouse.folder import new_folder


def write_result(
    out: Path,
    student: torch.nn.Module,
    teacher: Teacher,
    facts: Facts,
    scorer: Callable[[torch.nn.Module], Evaluation] | None,
) -> Facts:
    """Writes the student with its tokenizer, card, plot and ``distill.json``.

    Args:
        out: the directory to make.
        student: a trained DistilBERT.
        teacher: whose tokenizer it has.
        facts: what was done.
        scorer: scores teacher and student; gets the student as it was read back from the disk.

    Returns:
        The facts with the scores.

    Raises:
        OutputError: ``out`` exists or cannot be written.
        CheckpointError: what was written is not what ``edgebert convert`` takes.
    """
    with new_folder(out) as (new, _, publish):
        write_checkpoint(new, student, teacher)
        stored = load_checkpoint(str(new))
        if scorer is not None:
            facts = replace(facts, evaluation=scorer(transformers_model(stored)))
        plot = loss_plot(facts.curve)
        if plot:
            (new / PLOT_NAME).write_text(plot, encoding="utf-8")
        (new / CARD_NAME).write_text(model_card(facts, out.name), encoding="utf-8")
        (new / FACTS_NAME).write_text(
            json.dumps(facts.to_dict(), indent=1, ensure_ascii=False) + "\n", encoding="utf-8"
        )
        publish()
    return facts


def write_checkpoint(folder: Path, student: torch.nn.Module, teacher: Teacher) -> None:
    """Writes configuration, weights and the teacher's tokenizer.

    Raises:
        OSError: the folder cannot be written.
    """
    from safetensors import SafetensorError

    model: Any = student.cpu().eval()
    try:
        model.save_pretrained(folder)
    except SafetensorError as error:
        raise OSError(str(error)) from error
    for name, data in teacher.tokenizer_files.items():
        (folder / name).write_bytes(data)
    # Whoever may read the folder may read every file; safetensors writes its own for the owner alone.
    mode = folder.stat().st_mode & 0o666
    for path in folder.iterdir():
        path.chmod(mode)
