"""The training itself: ``transformers.Trainer`` with the triple loss."""

from __future__ import annotations

import contextlib
import math
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import Trainer, TrainerCallback

from edgebert.compress.distillation.losses import Losses, Weights, decisions, triple_loss
from edgebert.compress.distillation.teacher import Teacher, logits_of
from edgebert.errors import TrainingError

COMPLETE_NAME = "complete"
"""The file that a checkpoint of the training has when all its other files are on the disk."""

Step = Callable[[int, int, Mapping[str, float]], object]
"""Is told the steps done, the steps in all, and the mean losses since it was told last, where there are some."""

_TIED = "vocab_projector.weight"
_TABLE = "distilbert.embeddings.word_embeddings.weight"


class Distilled(nn.Module):
    """A student, and where its width is not the teacher's, the projection of its hidden states, which is thrown away.

    Attributes:
        student: a DistilBERT with a head.
        projection: from the student's width to the teacher's, or ``None``.
    """

    def __init__(self, student: nn.Module, *, teacher_dim: int, hidden: bool) -> None:
        super().__init__()
        self.student = student
        config: Any = student.config
        self._hidden = hidden
        self.projection: nn.Linear | None = None
        if hidden and config.dim != teacher_dim:
            self.projection = nn.Linear(config.dim, teacher_dim)
        # A vocabulary projection is the table of embeddings once more, which a safetensors file cannot hold twice.
        self.register_state_dict_post_hook(_without_tied)  # type: ignore[no-untyped-call]
        self.register_load_state_dict_pre_hook(_with_tied)  # type: ignore[no-untyped-call]

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> tuple[Tensor, Tensor | None]:
        """Logits, and the last hidden states in the teacher's width where they are wanted.

        Args:
            input_ids: int64 [batch, length].
            attention_mask: int64 [batch, length].

        Returns:
            Logits as :func:`edgebert.compress.distillation.losses.decisions` takes them; float [batch, length, dim].
        """
        output = self.student(
            input_ids=input_ids, attention_mask=attention_mask, output_hidden_states=self._hidden, return_dict=True
        )
        hidden = output.hidden_states[-1] if self._hidden else None
        if hidden is not None and self.projection is not None:
            hidden = self.projection(hidden)
        return logits_of(output), hidden


def _without_tied(module: nn.Module, state: dict[str, Any], prefix: str, metadata: object) -> None:
    state.pop(f"{prefix}student.{_TIED}", None)


def _with_tied(module: nn.Module, state: dict[str, Any], prefix: str, *rest: object) -> None:
    if hasattr(module.student, "vocab_projector"):
        state[f"{prefix}student.{_TIED}"] = state[f"{prefix}student.{_TABLE}"]


class DistillationTrainer(Trainer):  # type: ignore[misc]
    """``transformers.Trainer`` whose loss is the triple loss.

    Args:
        teacher: the teacher; its model is moved to the training's device.
        separator: the id of ``[SEP]``, for a teacher that reads token types.
        weights: of the losses.
        options: arguments of ``Trainer``; ``model`` is a :class:`Distilled`.
    """

    def __init__(self, *, teacher: Teacher, separator: int, weights: Weights, **options: Any) -> None:  # noqa: ANN401
        super().__init__(**options)
        self._teacher = teacher
        self._separator = separator
        self._weights = weights
        self._sums: dict[str, Tensor] = {}
        self._count = 0
        teacher.model.to(self.args.device).requires_grad_(False)

    def compute_loss(
        self,
        model: nn.Module,
        inputs: dict[str, Tensor],
        return_outputs: bool = False,
        num_items_in_batch: object = None,
    ) -> Tensor:
        """The weighted sum of the losses of a batch, a float32 scalar; the teacher is asked if it was not before.

        Raises:
            EdgebertError: it is NaN or infinite.
        """
        mask = inputs["attention_mask"].bool()
        labels = inputs.pop("labels")
        theirs, their_hidden = inputs.pop("answers", None), None
        logits, hidden = model(**inputs)
        task = self._teacher.task.name
        if theirs is None:
            with torch.no_grad(), self.accelerator.autocast():
                theirs, their_hidden = self._teacher.ask(inputs, separator=self._separator, hidden=hidden is not None)
        student, answers = decisions(task, logits, labels, mask)
        teacher, _ = decisions(task, theirs, labels, mask)
        losses = triple_loss(
            student,
            teacher,
            answers,
            None if hidden is None else hidden.float()[mask],
            None if their_hidden is None else their_hidden.float()[mask],
            self._weights,
        )
        self._note(losses)
        return losses.total

    def _note(self, losses: Losses) -> None:
        values = {"kl": losses.kl, "task": losses.task, "cos": losses.cos}
        if not torch.isfinite(losses.total):
            shown = ", ".join(f"{name} {value.item():.3g}" for name, value in values.items())
            raise TrainingError(
                f"The loss is not a finite number at step {self.state.global_step + 1} ({shown}).",
                hint=diverged_hint(Path(self.args.output_dir)),
            )
        for name, value in values.items():
            self._sums[name] = self._sums.get(name, torch.zeros_like(value)) + value.detach()
        self._count += 1

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Adds the three losses, means over the steps since the last time and over all processes."""
        if "loss" in logs and self._count:
            sums = torch.stack(list(self._sums.values()))[None] / self._count
            means = self.accelerator.gather(sums).mean(dim=0)
            logs.update(zip(self._sums, map(float, means), strict=True))
            self._sums, self._count = {}, 0
        super().log(logs, start_time)


def last_checkpoint(folder: Path) -> Path | None:
    """The latest complete checkpoint of a training in its folder."""
    found = sorted(
        (int(path.parent.name.rpartition("-")[2]), path.parent) for path in folder.glob(f"checkpoint-*/{COMPLETE_NAME}")
    )
    return found[-1][1] if found else None


def diverged_hint(folder: Path) -> str:
    """What to do when a training in this folder has diverged."""
    kept = last_checkpoint(folder)
    where = f" The last good checkpoint is {kept}." if kept else ""
    return f"Lower --learning-rate, train with --precision bf16 or fp32, or look at the data.{where}"


class CompleteCheckpoints(TrainerCallback):  # type: ignore[misc]
    """Marks each checkpoint when everything in it is on the disk, so that one cut off in the middle is not taken."""

    def on_save(self, args: Any, state: Any, control: Any, **rest: Any) -> None:  # noqa: ANN401
        """After Trainer has written a checkpoint: every process has, then the first one marks it.

        Raises:
            EdgebertError: a weight is NaN or infinite.
        """
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            torch.distributed.barrier()
        if not args.should_save:
            return
        for name, parameter in rest["model"].named_parameters():
            if not torch.isfinite(parameter).all():
                raise TrainingError(
                    f"The weights are not finite numbers after step {state.global_step} ({name}).",
                    hint=diverged_hint(Path(args.output_dir)),
                )
        folder = Path(args.output_dir) / f"checkpoint-{state.global_step}"
        for path in sorted(folder.iterdir()):
            _sync(path)
        (folder / COMPLETE_NAME).touch()
        _sync(folder)


class Announce(TrainerCallback):  # type: ignore[misc]
    """Tells how far the training is."""

    def __init__(self, step: Step) -> None:
        self._step = step

    def on_step_end(self, args: Any, state: Any, control: Any, **rest: Any) -> None:  # noqa: ANN401
        """After each step."""
        if state.is_world_process_zero:
            self._step(state.global_step, state.max_steps, {})

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **rest: Any) -> None:  # noqa: ANN401
        """Whenever losses are noted."""
        if state.is_world_process_zero and logs and "loss" in logs:
            losses = {name: logs[name] for name in ("loss", "kl", "task", "cos") if name in logs}
            self._step(state.global_step, state.max_steps, losses)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        with contextlib.suppress(OSError):  # some file systems know no fsync of folders
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def steps_of(history: list[dict[str, Any]]) -> list[dict[str, float]]:
    """Of a trainer's log the entries with losses: ``step``, ``loss``, ``kl``, ``task``, ``cos``."""
    names = ("step", "loss", "kl", "task", "cos")
    curve = [{name: entry[name] for name in names if name in entry} for entry in history if "loss" in entry]
    return [entry for entry in curve if all(math.isfinite(value) for value in entry.values())]
