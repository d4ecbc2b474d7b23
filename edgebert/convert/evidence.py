"""Evidence: what an artifact answers in its real backend, against the float32 checkpoint."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from edgebert.bundle import Golden
from edgebert.bundle.schema import Artifact, Shapes, Task
from edgebert.convert import metrics
from edgebert.convert.entities import entity_f1
from edgebert.convert.exporters.base import INPUT_NAMES, OUTPUT_NAME
from edgebert.convert.graph import run_graph
from edgebert.convert.probes import pad, probe_lengths, texts_of_length
from edgebert.devices import describe_machine, find_runtimes
from edgebert.errors import BackendError, SelfTestError
from edgebert.runtime.batching import BatchRunner, run_windows
from edgebert.runtime.engines import Engine, build_engine
from edgebert.runtime.engines.base import Tensors, run_engine
from edgebert.runtime.selection import judge
from edgebert.runtime.selftest import self_test
from edgebert.runtime.shapes import bucket_for
from edgebert.runtime.tasks import Result, open_task
from edgebert.runtime.tokenization import TextTokenizer

_BATCH_SIZE = 8
_PADDING = 7
_OPTIONS: Mapping[str, Mapping[str, object]] = {"token-classification": {"ignore_labels": ()}}
"""Options with which a task gives everything that is scored."""

_ANY_FINITE = float(np.finfo(np.float64).max)


@dataclass(frozen=True, slots=True)
class Probe:
    """One input of ``length`` tokens, run in ``padded_to`` tokens among ``batch`` texts, against float32 in logits."""

    length: int
    padded_to: int
    batch: int
    max_abs_diff: float


@dataclass(frozen=True, slots=True)
class TaskScore:
    """The task metric on the evaluation set, of the artifact and of the float32 checkpoint."""

    metric: str
    value: float
    reference: float

    @property
    def drop(self) -> float:
        """How much worse the artifact is, in the metric's unit; negative when it is better."""
        return self.reference - self.value


@dataclass(frozen=True, slots=True)
class Measurement:
    """What one artifact showed.

    ``max_abs_diff`` is over everything that ran, ``mean_abs_diff`` and ``label_agreement`` over the ``decisions`` on
    the texts (one per text, or one per token), ``neighbour_diff`` the most that padding or other texts in the batch
    moved a logit, ``golden_diff`` the largest difference on the golden rows. All differences are absolute, in logits.
    """

    runtime: str
    threads: int
    details: Mapping[str, str]
    probes: tuple[Probe, ...]
    decisions: int
    max_abs_diff: float
    mean_abs_diff: float
    label_agreement: float
    neighbour_diff: float
    golden_diff: float
    score: TaskScore | None


@dataclass(frozen=True, slots=True)
class Answers:
    """What a runner answers: the logits of each text or token, float32 [n, labels], and a result per text."""

    logits: NDArray[np.float32]
    results: list[Result]

    def score(self, task: Task, right: Sequence[Any]) -> float:
        """The task metric (:data:`edgebert.convert.metrics.METRICS`)."""
        if task.problem_type is None:
            return entity_f1(self.results, right)
        return metrics.score(task.problem_type, self.logits, right)


@dataclass(frozen=True)
class Yardstick:
    """Everything that artifacts are measured with: inputs, and the float32 checkpoint's answers to them.

    ``answers`` are the right answers of the evaluation set, or ``None`` when the texts have none.
    """

    graph: nn.Module
    task: Task
    tokenizer: TextTokenizer
    pad_id: int
    golden: Golden
    inputs: Sequence[Any]
    answers: Sequence[Any] | None
    probe_rows: tuple[NDArray[np.int32], ...]
    probe_logits: tuple[NDArray[np.float32], ...]
    reference: Answers

    @cached_property
    def reference_score(self) -> float | None:
        """The task metric of the float32 checkpoint on the evaluation set."""
        return None if self.answers is None else self.reference.score(self.task, self.answers)

    def logits_within(self, max_length: int) -> NDArray[np.float32]:
        """The reference logits when texts are read in windows of ``max_length`` tokens, as a shorter artifact does."""
        if max_length >= self.tokenizer.max_length:
            return self.reference.logits
        runner = GraphRunner(self.graph, max_length)
        return answer_texts(runner, self.task, self.tokenizer, self.pad_id, self.inputs).logits


class GraphRunner:
    """The float32 export graph as something that runs batches."""

    def __init__(self, graph: nn.Module, max_length: int) -> None:
        self._graph = graph
        self.shapes = Shapes("dynamic", max_length)

    def run(self, inputs: Tensors) -> dict[str, NDArray[Any]]:
        """See :class:`edgebert.runtime.batching.BatchRunner`."""
        return {OUTPUT_NAME: run_graph(self._graph, inputs["input_ids"], inputs["attention_mask"])}


def make_yardstick(
    graph: nn.Module,
    task: Task,
    tokenizer: TextTokenizer,
    pad_id: int,
    golden: Golden,
    *,
    inputs: Sequence[Any],
    answers: Sequence[Any] | None,
    probe_texts: Sequence[str],
    buckets: Sequence[int],
) -> Yardstick:
    """Run the float32 graph over all inputs that artifacts will be measured with."""
    rows = tuple(texts_of_length(tokenizer, probe_texts, probe_lengths(tokenizer.max_length, buckets)))
    runner = GraphRunner(graph, tokenizer.max_length)
    return Yardstick(
        graph=graph,
        task=task,
        tokenizer=tokenizer,
        pad_id=pad_id,
        golden=golden,
        inputs=inputs,
        answers=answers,
        probe_rows=rows,
        probe_logits=tuple(run_graph(graph, row[None], np.ones((1, len(row)), np.int32)) for row in rows),
        reference=answer_texts(runner, task, tokenizer, pad_id, inputs),
    )


def answer_texts(
    runner: BatchRunner, task: Task, tokenizer: TextTokenizer, pad_id: int, inputs: Sequence[Any]
) -> Answers:
    """Answer every input by the path that serves a device: windows, batches, merge."""
    tokenizer = copy.copy(tokenizer)
    tokenizer.max_length = min(tokenizer.max_length, runner.shapes.max_length)
    handler = open_task(task)
    options = handler.parse_options(**_OPTIONS.get(task.name, {}))
    prepared = [handler.prepare(tokenizer, item, options) for item in inputs]
    windows = [window for item in prepared for window in item.windows]
    outputs = iter(run_windows(runner, windows, pad_id, _BATCH_SIZE))
    logits, results = [], []
    for item in prepared:
        own = [next(outputs) for _ in item.windows]
        logits.append(handler.logits(item, own))
        results.append(handler.finish(item, own, options))
    return Answers(np.concatenate(logits), results)


def measure(artifact: Artifact, files: list[Path], yardstick: Yardstick) -> Measurement:
    """Open an artifact in its real backend and compare it with the float32 checkpoint.

    Raises:
        BackendError: the backend is not installed here, or fails.
        SelfTestError: an output is not finite.
    """
    machine = describe_machine()
    candidate = judge(artifact, None, machine, find_runtimes(artifact.backend))
    if candidate.runtime is None:
        raise BackendError(f"Artifact {artifact.id} cannot run here: {candidate.reason}.", hint=candidate.install)
    engine = build_engine(artifact, files, machine.physical_cores, candidate.runtime)
    try:
        return _measure(engine, artifact, yardstick)
    finally:
        engine.close()


def _measure(engine: Engine, artifact: Artifact, yardstick: Yardstick) -> Measurement:
    golden = self_test(engine, yardstick.golden, _ANY_FINITE)
    probes, moved = _probe(engine, yardstick)
    answers = answer_texts(engine, yardstick.task, yardstick.tokenizer, yardstick.pad_id, yardstick.inputs)
    logits = answers.logits
    if not np.isfinite(logits).all():
        raise SelfTestError(f"Artifact {artifact.id} computes logits that are not finite.")
    reference = yardstick.logits_within(artifact.shapes.max_length)
    difference = np.abs(logits - reference)
    problem_type = yardstick.task.problem_type
    score = None
    if yardstick.answers is not None and yardstick.reference_score is not None:
        value = answers.score(yardstick.task, yardstick.answers)
        score = TaskScore(metrics.METRICS[problem_type], value, yardstick.reference_score)
    return Measurement(
        runtime=f"{engine.facts.distribution} {engine.facts.version}",
        threads=engine.facts.threads,
        details=dict(engine.facts.details),
        probes=probes,
        decisions=len(logits),
        max_abs_diff=max(float(difference.max()), golden.max_abs_diff, *(probe.max_abs_diff for probe in probes)),
        mean_abs_diff=float(difference.mean()),
        label_agreement=metrics.agreement(problem_type, logits, reference),
        neighbour_diff=moved,
        golden_diff=golden.max_abs_diff,
        score=score,
    )


def _probe(engine: Engine, yardstick: Yardstick) -> tuple[tuple[Probe, ...], float]:
    """Each probe row alone and unpadded, then padded and beside another text; and how far that moved a logit.

    Static shapes take one text at a time: there the second run is in the next larger bucket.
    """
    probes: list[Probe] = []
    moved = 0.0
    for row, expected in zip(yardstick.probe_rows, yardstick.probe_logits, strict=True):
        if len(row) > engine.shapes.max_length:
            continue
        answers = []
        for length, neighbours in _settings(len(row), engine.shapes):
            rows = [row, *[yardstick.probe_rows[-1][:length]] * neighbours]
            padded = [pad(one, length, yardstick.pad_id) for one in rows]
            inputs = {name: np.concatenate([arrays[i] for arrays in padded]) for i, name in enumerate(INPUT_NAMES)}
            answer = run_engine(engine, inputs)[OUTPUT_NAME][0]
            if not np.isfinite(answer).all():
                raise SelfTestError(f"The logits for an input of {len(row)} tokens are not finite.")
            if answer.ndim == 2:
                answer = answer[: len(row)]
            probes.append(Probe(len(row), length, len(rows), float(np.abs(answer - expected[0]).max())))
            answers.append(answer)
        moved = max(moved, *(float(np.abs(answer - answers[0]).max()) for answer in answers))
    return tuple(probes), moved


def _settings(length: int, shapes: Shapes) -> list[tuple[int, int]]:
    """How a row of ``length`` tokens is run: the length to pad it to, and how many other texts stand beside it."""
    if shapes.policy == "dynamic":
        return [(length, 0), (min(length + _PADDING, shapes.max_length), 1)]
    first = bucket_for(length, shapes.buckets)
    return [(bucket, 0) for bucket in shapes.buckets if first <= bucket][:2]
