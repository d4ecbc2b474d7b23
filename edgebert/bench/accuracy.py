"""How well an artifact answers an evaluation file on this machine, against the float32 checkpoint.

The readers and metrics are those of the conversion's evidence, which need numpy alone, so that a figure of the device
means what the same figure of the build host means.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgebert.bench.launch import Crash, run_main
from edgebert.bench.report import Accuracy, Evaluation, Score
from edgebert.bench.stats import proportion_interval
from edgebert.bench.trial import BATCH_SIZE, Refusal
from edgebert.bundle import Bundle
from edgebert.bundle.schema import Task
from edgebert.convert.evaluation.texts import EvalColumns, EvalSet
from edgebert.convert.tasks import Answers, TaskEvidence, open_evidence
from edgebert.errors import EdgebertError, InputError
from edgebert.runtime import load
from edgebert.runtime.bigger import stages
from edgebert.runtime.tokenization import TextTokenizer

CHECKPOINT = "checkpoint"

_LOGITS: Mapping[str, object] = {"top_k": None, "function_to_apply": "none"}
"""Options with which a classifier gives the logit of every label."""

_BY_RESULT = ("token-classification", "question-answering")
"""Tasks whose metrics read nothing but the results of a model."""

_SHARES = ("accuracy", "exact_match")
"""Metrics that are the share of the inputs that are answered rightly."""


@dataclass(frozen=True)
class EvaluationFile:
    """An evaluation file, read for a bundle's task.

    Attributes:
        task: the task.
        evidence: its metrics.
        data: the inputs, with the right answers.
    """

    task: Task
    evidence: TaskEvidence
    data: EvalSet

    @property
    def options(self) -> dict[str, object]:
        """With which a model gives what the metrics read."""
        logits = {} if self.task.name in _BY_RESULT else _LOGITS
        return {**logits, **self.evidence.options, **self.data.options}

    def scores(self, results: Sequence[Any]) -> dict[str, float]:
        """The metrics of a model's results, the main one first."""
        rows = () if self.task.name in _BY_RESULT else tuple(_logits(result, self.task.labels) for result in results)
        values = self.evidence.scores(Answers(rows, results), self.data.labels)
        return dict(zip(self.evidence.metrics, values, strict=True))


def read_evaluation(task: Task, tokenizer: TextTokenizer, path: Path) -> EvaluationFile:
    """Read an evaluation file, as ``edgebert convert`` does.

    Raises:
        InputError: accuracy on a device is not measured for this task.
        DataError: the file is not usable; the message names file and line.
    """
    if task.name != "text-classification" and task.name not in _BY_RESULT:
        raise InputError(
            f"A benchmark does not score {task.name} on an evaluation file.",
            hint="Leave it out; `edgebert convert --eval` scores every artifact on the build host.",
        )
    evidence = open_evidence(task, tokenizer)
    return EvaluationFile(task, evidence, evidence.read(path, EvalColumns(), None))


def answer_evaluation(
    bundle: Path, artifact: str, threads: int | None, file: EvaluationFile
) -> dict[str, float] | Refusal | Crash:
    """The metrics of an artifact, which answers the file in a process of its own."""
    job = {
        "bundle": str(bundle),
        "artifact": artifact,
        "threads": threads,
        "inputs": file.data.inputs,
        "options": file.options,
    }
    answer = run_main(__name__, json.dumps(job))
    if isinstance(answer, Crash):
        return answer
    said = json.loads(answer)
    return Refusal(said["error"]) if "error" in said else file.scores(said["results"])


def main(job_path: str, answer_path: str, interpreter_ms: float, import_ms: float) -> None:
    """What the process does; see :func:`edgebert.bench.launch.run_main`."""
    job = json.loads(Path(job_path).read_text(encoding="ascii"))
    # JSON has made a list of a pair of texts.
    inputs = [tuple(item) if isinstance(item, list) else item for item in job["inputs"]]
    answer: dict[str, object]
    try:
        with load(job["bundle"], artifact=job["artifact"], threads=job["threads"], strict=True) as model:
            answer = {"results": list(model.stream(inputs, batch_size=BATCH_SIZE, **job["options"]))}
    except EdgebertError as error:
        answer = {"error": error.message}
    Path(answer_path).write_text(json.dumps(answer, default=float), encoding="ascii")


def compare(
    bundle: Bundle, file: EvaluationFile, values: Mapping[str, Mapping[str, float]], precisions: Mapping[str, str]
) -> tuple[Evaluation, dict[str, Accuracy]]:
    """The metrics beside those that they are to be compared with.

    That is the float32 checkpoint where the bundle's evidence is of this very file: of a cascade the last checkpoint,
    which is asked last. Else the first artifact with float32 weights that was measured; else nothing.

    Args:
        bundle: the bundle.
        file: the evaluation file.
        values: artifact -> its metrics.
        precisions: artifact -> its precision.
    """
    checkpoint = _of_checkpoint(bundle, file.data.sha256)
    first_float = next((artifact for artifact in values if precisions[artifact] == "fp32"), "")
    reference = first_float if checkpoint is None else CHECKPOINT
    against = values.get(first_float, {}) if checkpoint is None else checkpoint
    count = len(file.data.inputs)
    about = Evaluation(Path(file.data.path).name, file.data.sha256, count, reference)
    return about, {
        artifact: Accuracy(tuple(_score(name, value, against.get(name), count) for name, value in own.items()))
        for artifact, own in values.items()
    }


def _score(name: str, value: float, reference: float | None, count: int) -> Score:
    return Score(
        metric=name,
        value=value,
        reference=reference,
        retention=value / reference if reference is not None and reference > 0 else None,
        interval=proportion_interval(round(value * count), count) if name in _SHARES else None,
    )


def _of_checkpoint(bundle: Bundle, sha256: str) -> dict[str, float] | None:
    """The metrics of the float32 checkpoint on the file with this digest, if the bundle's evidence has them."""
    *_, (_, last) = stages(bundle)
    try:
        evaluation = json.loads(last.read(last.manifest.evidence))["evaluation"]
        if evaluation is None or evaluation["sha256"] != sha256:
            return None
        return {str(name): float(value) for name, value in evaluation["scores"].items()}
    except (ValueError, KeyError, TypeError, AttributeError):  # evidence of another form: then it says nothing here
        return None


def _logits(entries: Sequence[Mapping[str, Any]], labels: Sequence[str]) -> np.ndarray[Any, np.dtype[np.float32]]:
    """The logits of one text, float32 [1, labels], from a result that has them all."""
    given = {entry["label"]: entry["score"] for entry in entries}
    return np.array([[given[label] for label in labels]], np.float32)
