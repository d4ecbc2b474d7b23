"""What a search is given, read and refused before its first command."""

from __future__ import annotations

import os
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edgebert.bundle.interrupt import hold_interrupt
from edgebert.compress.distillation.examples import ExampleFile, check_files
from edgebert.compress.distillation.store import file_sha256
from edgebert.compress.distillation.student import Sizes
from edgebert.compress.distillation.teacher import load_teacher, parameters
from edgebert.compress.search.grid import TRIMMED_TASKS, check_sizes, sizes_of
from edgebert.convert.evaluation.stream import TextStream
from edgebert.convert.evaluation.texts import EvalColumns
from edgebert.convert.quiet import captured_output
from edgebert.convert.target import load_target
from edgebert.convert.tasks import open_evidence
from edgebert.errors import CheckpointError, DataError
from edgebert.runtime.tokenization import TextTokenizer

_TEXTS = 128
"""Texts of the evaluation file that latency is measured on."""


@dataclass(frozen=True, slots=True)
class Given:
    """What a search works on.

    Attributes:
        source: the checkpoint, absolute where it is a directory.
        files: the SHA-256 of each of its files that was read.
        task: its task.
        sizes: its sizes.
        parameters: how many it has.
        max_length: its longest input in tokens.
        data: the training files, absolute.
        data_sha256: of each.
        evaluation: the evaluation file, absolute.
        evaluation_sha256: of it.
        metric: the main metric of the task.
        target: the target, absolute where it is a path.
        preferred: its artifacts, the one that a device takes first before the others.
        texts: texts of the evaluation file; empty where it holds other inputs than texts.
    """

    source: str
    files: dict[str, str]
    task: str
    sizes: Sizes
    parameters: int
    max_length: int
    data: tuple[str, ...]
    data_sha256: tuple[str, ...]
    evaluation: str
    evaluation_sha256: str
    metric: str
    target: str
    preferred: tuple[str, ...]
    texts: tuple[str, ...]


def read_inputs(checkpoint: str, data: Sequence[Path], evaluation: Path, target: str) -> Given:
    """Reads what a search is given, as the commands will that it runs.

    Args:
        checkpoint: a DistilBERT directory, or a name on the Hugging Face hub.
        data: files to train on, and to take the vocabulary from, as ``edgebert distill`` takes them.
        evaluation: right answers, as ``edgebert convert`` takes them.
        target: the name of a target, or the path of one.

    Raises:
        CheckpointError: it is no DistilBERT of a task that can be distilled.
        DataError: a file cannot be read, is empty, or its first lines are not usable.
        TargetError: there is no such target, or it is broken.
    """
    preferred = tuple(spec.id for spec in load_target(target).artifacts)
    if not data:
        raise DataError("There is no training data.", hint="Give at least one file (--data).")
    check_files(list(data))
    digests = tuple(file_sha256(data))
    _import_libraries()
    teacher = load_teacher(checkpoint)
    if teacher.reads_types:
        raise CheckpointError(
            f"{checkpoint}: a BERT, which `edgebert convert` does not take: there is nothing to compare with.",
            hint="Distill it first, and search with the student: edgebert distill.",
        )
    loaded = teacher.checkpoint
    sizes = sizes_of(loaded.config)
    check_sizes(sizes, checkpoint)
    tokenizer = TextTokenizer(loaded.tokenizer_json, max_length=loaded.max_length, pad_id=loaded.pad_id)
    for path in data:
        if next(iter(ExampleFile(path, loaded.task, tokenizer, EvalColumns())), None) is None:
            raise DataError(f"{path}: there is nothing in it to train on.", hint="Give a file with texts.")
    evidence = open_evidence(loaded.task, tokenizer)
    answers = evidence.read(evaluation, EvalColumns(), None)
    return Given(
        source=_absolute(checkpoint) if Path(checkpoint).is_dir() else checkpoint,
        files=dict(loaded.files),
        task=loaded.task.name,
        sizes=sizes,
        parameters=parameters(loaded),
        max_length=loaded.max_length,
        data=tuple(_absolute(path) for path in data),
        data_sha256=digests,
        evaluation=_absolute(evaluation),
        evaluation_sha256=answers.sha256,
        metric=evidence.metrics[0],
        target=_absolute(target) if _is_path(target) else target,
        preferred=preferred,
        texts=_texts(evaluation) if loaded.task.name in TRIMMED_TASKS else (),
    )


def _import_libraries() -> None:
    """Loads the big libraries here, where what they print on import is dropped."""
    with captured_output(), hold_interrupt():
        import optimum.exporters.tasks  # noqa: F401
        from transformers import DistilBertForSequenceClassification  # noqa: F401


def _is_path(target: str) -> bool:
    return Path(target).exists() and (os.sep in target or target.endswith(".toml") or target in (".", ".."))


def _absolute(path: str | Path) -> str:
    return os.path.abspath(path)  # noqa: PTH100 (not resolved: what was given may be a link to the newest)


def _texts(evaluation: Path) -> tuple[str, ...]:
    """Texts of the file, each on one line, drawn always alike."""
    texts = [" ".join(text.split()) for text in TextStream(evaluation, EvalColumns())]
    texts = [text for text in texts if text]
    return tuple(random.Random(0).sample(texts, min(_TEXTS, len(texts))))
