"""The teacher: a BERT or DistilBERT checkpoint whose task can be distilled."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer

from edgebert.bundle.schema import Task
from edgebert.compress.distillation.batches import token_types
from edgebert.compress.distillation.bert import as_distilbert, read_bert
from edgebert.convert.checkpoint import Checkpoint, load_checkpoint
from edgebert.convert.source import (
    CONFIG_NAME,
    SPECIAL_TOKENS_NAME,
    TOKENIZER_CONFIG_NAME,
    TOKENIZER_NAME,
    VOCABULARY_NAME,
    SourceDirectory,
    locate,
)
from edgebert.errors import CheckpointError

TASKS = ("text-classification", "token-classification", "question-answering", "fill-mask")
"""The tasks that can be distilled."""

MASKED_LM = "fill-mask"
"""The task of a task-agnostic distillation."""

_TOKENIZER_FILES = (TOKENIZER_CONFIG_NAME, VOCABULARY_NAME, SPECIAL_TOKENS_NAME)


@dataclass(frozen=True, slots=True)
class Teacher:
    """A teacher.

    Attributes:
        checkpoint: as it is stored, BERT or DistilBERT.
        distilbert: the same in DistilBERT's names (for a DistilBERT the same object).
        model: the transformers model in evaluation mode; takes ``input_ids``, ``attention_mask`` and, for a BERT,
            ``token_type_ids``.
        tokenizer_files: the files of its tokenizer, name to content; ``tokenizer.json`` is always there.
    """

    checkpoint: Checkpoint
    distilbert: Checkpoint
    model: torch.nn.Module
    tokenizer_files: Mapping[str, bytes]

    @property
    def task(self) -> Task:
        """The task of teacher and student."""
        return self.checkpoint.task

    @property
    def reads_types(self) -> bool:
        """Whether it tells the two texts of a pair apart by token type, as BERT does."""
        return self.checkpoint is not self.distilbert

    def ask(
        self, inputs: Mapping[str, torch.Tensor], *, separator: int, hidden: bool = False
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Logits, and the last hidden states where they are wanted.

        Args:
            inputs: ``input_ids`` and ``attention_mask``, int64 [batch, length].
            separator: the id of ``[SEP]``.
            hidden: whether hidden states are wanted, float [batch, length, dim].

        Returns:
            Logits as :func:`edgebert.compress.distillation.losses.decisions` takes them; hidden states or ``None``.
        """
        types = {}
        if self.reads_types:
            types["token_type_ids"] = token_types(inputs["input_ids"], inputs["attention_mask"], separator)
        output = self.model(**inputs, **types, output_hidden_states=hidden, return_dict=True)
        return logits_of(output), output.hidden_states[-1] if hidden else None


def load_teacher(source: str, *, revision: str | None = None, allow_pickle: bool = False) -> Teacher:
    """Loads a teacher, and refuses what cannot be one.

    Args:
        source: a directory as ``save_pretrained`` writes it, or a name on the Hugging Face hub.
        revision: branch, tag or commit, for a hub name.
        allow_pickle: accept ``pytorch_model.bin`` where there is no safetensors.

    Raises:
        CheckpointError: it is missing or broken, neither BERT nor DistilBERT, or of a task that cannot be distilled.
    """
    directory = locate(source, revision=revision, allow_pickle=allow_pickle)
    if not directory.has(CONFIG_NAME):
        raise directory.error(
            CONFIG_NAME, "no such file.", "Give the directory that `model.save_pretrained(...)` wrote."
        )
    kind = directory.read_json(CONFIG_NAME).get("model_type")
    if kind == "bert":
        checkpoint = replace(read_bert(directory, allow_pickle=allow_pickle), source=source)
        distilbert = as_distilbert(checkpoint)
    elif kind == "distilbert":
        checkpoint = distilbert = replace(
            load_checkpoint(str(directory.path), allow_pickle=allow_pickle), source=source
        )
    else:
        raise directory.error(
            CONFIG_NAME, f"model_type is {kind!r}: neither a BERT nor a DistilBERT.", "Only these can be teachers."
        )
    _refuse_task(checkpoint)
    return Teacher(checkpoint, distilbert, transformers_model(checkpoint), _tokenizer_files(directory, checkpoint))


def load_start(source: str, teacher: Teacher, *, allow_pickle: bool = False) -> Checkpoint:
    """Loads the DistilBERT that a student begins as, which must read texts as its teacher does.

    Raises:
        CheckpointError: it cannot be loaded, or its tokenizer is not the teacher's.
    """
    start = load_checkpoint(source, allow_pickle=allow_pickle)
    mine, theirs = (Tokenizer.from_str(one.tokenizer_json.decode()) for one in (start, teacher.checkpoint))
    ours, yours = mine.get_vocab(with_added_tokens=True), theirs.get_vocab(with_added_tokens=True)
    different = [token for token in {**ours, **yours} if ours.get(token) != yours.get(token)]
    if different:
        reason = f"{len(different)} tokens have another id or are in one alone, such as {min(different)!r}"
    elif repr(mine.normalizer) != repr(theirs.normalizer):
        reason = "the texts are normalized in another way"
    elif start.config["vocab_size"] != teacher.distilbert.config["vocab_size"]:
        reason = f"vocab_size is {start.config['vocab_size']}, not {teacher.distilbert.config['vocab_size']}"
    else:
        return start
    raise CheckpointError(
        f"{source}: its tokenizer is not that of the teacher {teacher.checkpoint.source}: {reason}.",
        hint="Teacher and student must read the same tokens: start from a checkpoint with the teacher's vocabulary.",
    )


def logits_of(output: Any) -> torch.Tensor:  # noqa: ANN401 (transformers' own classes)
    """A model's logits; of question answering start and end, [batch, 2, length]."""
    if "start_logits" in output:
        return torch.stack([output.start_logits, output.end_logits], dim=1)
    logits: torch.Tensor = output.logits
    return logits


def transformers_model(checkpoint: Checkpoint) -> torch.nn.Module:
    """The checkpoint in its own class of ``transformers``, in evaluation mode, sharing the checkpoint's tensors."""
    import transformers

    kind = transformers.BertConfig if checkpoint.architecture.startswith("Bert") else transformers.DistilBertConfig
    with torch.device("meta"):
        model: torch.nn.Module = getattr(transformers, checkpoint.architecture)(kind.from_dict(dict(checkpoint.config)))
    tensors = dict(checkpoint.tensors)
    if "vocab_projector.weight" in model.state_dict():  # tied, and so stored once
        tensors["vocab_projector.weight"] = tensors["distilbert.embeddings.word_embeddings.weight"]
    for name, buffer in list(model.named_buffers()):
        _set_buffer(model, name, buffer)
    model.load_state_dict(tensors, strict=True, assign=True)
    return model.eval()


def _set_buffer(model: torch.nn.Module, name: str, buffer: torch.Tensor) -> None:
    """Gives a buffer that is not stored its value: positions count up, token types are 0."""
    path, _, last = name.rpartition(".")
    count = torch.arange(buffer.shape[-1]).expand(buffer.shape)
    value = count if last == "position_ids" else torch.zeros(buffer.shape, dtype=buffer.dtype)
    setattr(model.get_submodule(path), last, value.clone())


def _refuse_task(checkpoint: Checkpoint) -> None:
    task = checkpoint.task
    if task.name not in TASKS:
        raise CheckpointError(
            f"{checkpoint.source}: a {checkpoint.architecture} is for {task.name}, which cannot be distilled.",
            hint=f"Tasks that can: {', '.join(TASKS)}.",
        )
    if task.problem_type not in (None, "single_label_classification"):
        raise CheckpointError(
            f"{checkpoint.source}: its problem_type is {task.problem_type}, which cannot be distilled.",
            hint="A text classifier must give one label of several (single_label_classification).",
        )


def _tokenizer_files(directory: SourceDirectory, checkpoint: Checkpoint) -> dict[str, bytes]:
    found = {name: directory.read(name) for name in _TOKENIZER_FILES if directory.has(name)}
    return {**found, TOKENIZER_NAME: checkpoint.tokenizer_json}


def parameters(checkpoint: Checkpoint | torch.nn.Module) -> int:
    """How many parameters a model has; tied ones count once."""
    if isinstance(checkpoint, torch.nn.Module):
        return sum(parameter.numel() for parameter in checkpoint.parameters())
    return sum(tensor.numel() for tensor in checkpoint.tensors.values())


def plain_path(source: str) -> str:
    """How a card names a checkpoint: a directory by its last part, a hub name as it is."""
    return Path(source).resolve().name if Path(source).is_dir() else source
