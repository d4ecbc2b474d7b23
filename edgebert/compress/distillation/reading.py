"""Training files and a teacher: which examples they give together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from edgebert.compress.distillation.examples import ExampleFile
from edgebert.compress.distillation.teacher import MASKED_LM, Teacher
from edgebert.convert.evaluation.texts import EvalColumns
from edgebert.runtime.tokenization import TextTokenizer

LABEL_WIDTHS = {"text-classification": 1, "question-answering": 2, "token-classification": -1, MASKED_LM: 0}
"""Labels of an example, by task; -1 for one per token."""

_QUESTION_LENGTH = 384


def example_files(
    teacher: Teacher, paths: Sequence[Path], columns: EvalColumns, *, max_length: int
) -> list[ExampleFile]:
    """The files as the teacher reads them.

    Args:
        teacher: whose task and tokenizer they are read with.
        paths: the files.
        columns: of tables.
        max_length: longest example in tokens; for question answering 384 at most.
    """
    task = teacher.task
    longest = min(max_length, _QUESTION_LENGTH) if task.name == "question-answering" else max_length
    tokenizer = TextTokenizer(teacher.checkpoint.tokenizer_json, max_length=longest, pad_id=teacher.checkpoint.pad_id)
    return [ExampleFile(path, task, tokenizer, columns) for path in paths]


def masking_of(teacher: Teacher, tokenizer: TextTokenizer) -> Mapping[str, Any] | None:
    """Arguments of :func:`edgebert.compress.distillation.batches.mask_words` for a masked language model."""
    if teacher.task.name != MASKED_LM:
        return None
    from tokenizers import Tokenizer

    vocabulary = Tokenizer.from_str(teacher.checkpoint.tokenizer_json.decode()).get_vocab_size()
    mask_id = tokenizer.token_id(str(teacher.task.settings["mask_token"]))
    return {"mask_id": mask_id, "unknown_id": tokenizer.unknown_id, "vocabulary": vocabulary}
