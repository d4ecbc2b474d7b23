"""The task's own metrics of a teacher or a student, by the path on which bundles are measured."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from edgebert.bundle.schema import Shapes, Task
from edgebert.compress.distillation.batches import token_types
from edgebert.compress.distillation.facts import Evaluation
from edgebert.compress.distillation.teacher import Teacher
from edgebert.convert.evaluation.texts import EvalSet
from edgebert.convert.probes import prepare
from edgebert.convert.tasks import Answers, TaskEvidence
from edgebert.errors import TrainingError
from edgebert.runtime.batching import run_windows
from edgebert.runtime.engines.base import Tensors
from edgebert.runtime.tasks import open_task
from edgebert.runtime.tokenization import TextTokenizer

_BATCH_SIZE = 32
_INPUTS_AT_ONCE = 1024
"""So that texts of similar length are found for a batch, and memory stays bounded."""


class ModelRunner:
    """A transformers model as something that runs batches, in float32.

    Args:
        model: in evaluation mode; it stays on its device.
        max_length: longest input in tokens.
        separator: the id of ``[SEP]`` for a model that reads token types; else ``None``.
    """

    def __init__(self, model: torch.nn.Module, *, max_length: int, separator: int | None) -> None:
        self._model = model
        self._separator = separator
        self._device = next(model.parameters()).device
        self.shapes = Shapes("dynamic", max_length)

    @torch.inference_mode()
    def run(self, inputs: Tensors) -> dict[str, NDArray[Any]]:
        """See :class:`edgebert.runtime.batching.BatchRunner`."""
        tensors = {name: torch.from_numpy(array).long().to(self._device) for name, array in inputs.items()}
        positions = tensors.pop("positions", None)
        if self._separator is not None:
            types = token_types(tensors["input_ids"], tensors["attention_mask"], self._separator)
            tensors["token_type_ids"] = types
        output = self._model(**tensors, return_dict=True)
        if positions is not None:
            rows = torch.arange(len(positions), device=self._device)[:, None]
            return {"logits": output.logits[rows, positions].cpu().numpy()}
        names = ("start_logits", "end_logits") if "start_logits" in output else ("logits",)
        return {name: output[name].cpu().numpy() for name in names}


def score(
    runner: ModelRunner,
    task: Task,
    evidence: TaskEvidence,
    tokenizer: TextTokenizer,
    pad_id: int,
    data: EvalSet,
) -> Mapping[str, float]:
    """The metrics of a model, by name.

    Args:
        runner: the model.
        task: its task.
        evidence: what knows the metrics.
        tokenizer: its tokenizer, with the longest input.
        pad_id: the padding token.
        data: inputs with their right answers.

    Raises:
        DataError: the task cannot use an input.
        EdgebertError: an output is not finite.
    """
    handler = open_task(task)
    options = handler.parse_options(**{**handler.example_options, **evidence.options, **data.options})
    rows, results = [], []
    for start in range(0, len(data.inputs), _INPUTS_AT_ONCE):
        some = data.inputs[start : start + _INPUTS_AT_ONCE]
        prepared = [prepare(handler, tokenizer, item, options, "evaluation file") for item in some]
        windows = [window for item in prepared for window in item.windows]
        outputs = iter(run_windows(runner, windows, pad_id, _BATCH_SIZE))
        for item in prepared:
            own = [next(outputs) for _ in item.windows]
            rows.append(handler.rows(item, own))
            if not np.isfinite(rows[-1]).all():
                raise TrainingError("The model's outputs are not finite.", hint="The training diverged: train anew.")
            results.append(handler.finish(item, own, options))
    values = evidence.scores(Answers(rows, results), data.labels)
    return dict(zip(evidence.metrics, values, strict=True))


@dataclass(frozen=True)
class Scorer:
    """Scores a teacher, and a student as it was stored, with the same data."""

    teacher: Teacher
    evidence: TaskEvidence
    tokenizer: TextTokenizer
    data: EvalSet
    device: torch.device

    def __call__(self, student: torch.nn.Module) -> Evaluation:
        """The scores of both."""
        separator = int(self.tokenizer.encode("")[0].input_ids[-1]) if self.teacher.reads_types else None
        scores = []
        for model, reads in ((self.teacher.model, separator), (student, None)):
            runner = ModelRunner(model.to(self.device).eval(), max_length=self.tokenizer.max_length, separator=reads)
            pad_id = self.teacher.checkpoint.pad_id
            scores.append(score(runner, self.teacher.task, self.evidence, self.tokenizer, pad_id, self.data))
        return Evaluation(self.data.path, self.data.sha256, len(self.data.inputs), scores[0], scores[1])
