"""Loading the checkpoint to convert: a DistilBERT whose configuration, weights and tokenizer agree, or a refusal."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from edgebert.bundle.schema import Task
from edgebert.convert.architecture import find_architecture, fit_tensors, read_config, read_task
from edgebert.convert.source import locate
from edgebert.convert.tokenizer_file import read_tokenizer
from edgebert.convert.weights import read_weights


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A checkpoint in memory, checked.

    Attributes:
        source: the directory or hub name it was loaded from, as given.
        config: ``config.json``, with transformers' defaults for the keys that shape the encoder.
        architecture: the transformers class, e.g. ``"DistilBertForSequenceClassification"``.
        tensors: that class's ``state_dict``: float32, contiguous, finite.
        tokenizer_json: the bytes of ``tokenizer.json``, unchanged (made by transformers if ``notes`` says so). May
            carry truncation and padding state from training, which whoever loads it must reset.
        task: the task, its labels by class index, and the problem type.
        max_length: the longest input in tokens, special tokens included.
        pad_id: the padding token's id.
        files: the SHA-256 of each file read, by file name.
        notes: remarks about the loading that belong into a report.
    """

    source: str
    config: Mapping[str, Any]
    architecture: str
    tensors: dict[str, torch.Tensor]
    tokenizer_json: bytes
    task: Task
    max_length: int
    pad_id: int
    files: dict[str, str]
    notes: tuple[str, ...] = ()


def load_checkpoint(
    source: str, *, revision: str | None = None, allow_pickle: bool = False, task: str = "auto"
) -> Checkpoint:
    """Loads a DistilBERT checkpoint and refuses anything that cannot be converted faithfully.

    The weights are read once, tensor by tensor: peak memory is their float32 form plus one stored tensor (with
    ``allow_pickle`` a pickle is held whole in its stored form as well).

    Args:
        source: a directory as ``save_pretrained`` writes it, or a name on the Hugging Face hub.
        revision: branch, tag or commit, for a hub name.
        allow_pickle: accept ``pytorch_model.bin`` where there is no safetensors.
        task: the task that the checkpoint must be for, or ``"auto"``.

    Raises:
        CheckpointError: the checkpoint is missing, broken, not a supported DistilBERT, or does not agree with itself;
            the message names the file and the reason.
    """
    directory = locate(source, revision=revision, allow_pickle=allow_pickle)
    config = read_config(directory)
    architecture, task_name = find_architecture(directory, config, task)
    answers = read_task(directory, config, task_name)
    tokenizer = read_tokenizer(directory, config)
    tensors = fit_tensors(directory, read_weights(directory, allow_pickle=allow_pickle), config, architecture, answers)
    return Checkpoint(
        source=source,
        config=config,
        architecture=architecture,
        tensors=tensors,
        tokenizer_json=tokenizer.json,
        task=answers,
        max_length=tokenizer.max_length,
        pad_id=tokenizer.pad_id,
        files=dict(sorted(directory.digests.items())),
        notes=tokenizer.notes,
    )
