"""Training files as examples: token ids, and the right answer where the file has one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgebert.bundle.schema import Task
from edgebert.compress.distillation.losses import UNLABELLED
from edgebert.compress.distillation.questions import QuestionFile
from edgebert.convert.evaluation.conll import load_conll
from edgebert.convert.evaluation.fields import Fail, fail_at, field
from edgebert.convert.evaluation.labels import LabelReader
from edgebert.convert.evaluation.lines import LineStream
from edgebert.convert.evaluation.stream import TextStream
from edgebert.convert.evaluation.tables import TABLE_SUFFIXES, Table, TextFile, table_of
from edgebert.convert.evaluation.texts import EvalColumns, TaggedWord, find_texts, row_text
from edgebert.errors import DataError, InputError
from edgebert.runtime.tasks import open_task
from edgebert.runtime.tokenization import TextTokenizer, Window

_LABEL_COLUMNS = ("label", "labels", "target", "score")


@dataclass(frozen=True, slots=True)
class Example:
    """One model input.

    Attributes:
        ids: int32 [length], special tokens included.
        labels: int32: [1] the class of a text; [2] where an answer starts and ends; [length] the class of each token;
            [0] for masked words, which are chosen anew each time. ``UNLABELLED`` for none.
    """

    ids: NDArray[np.int32]
    labels: NDArray[np.int32]


class ExampleFile:
    """The examples of one file, in order; reads it anew each time it is iterated over.

    Text classification: the texts, or pairs, of a table with a label column or without; any other file is texts
    without labels, one a line. Token classification: CoNLL columns; a table is texts without tags. Question answering:
    SQuAD JSON or JSONL. Masked words: a table's text column, or lines of text. Tables and lines are streamed; CoNLL and
    SQuAD files are read whole.

    Args:
        path: the file.
        task: the teacher's task.
        tokenizer: with the longest input; longer texts are cut for text classification, else in pieces.
        columns: the columns of a table.

    Attributes:
        sha256: the SHA-256 of the file's bytes after it was read to its end.

    Raises:
        DataError: iterating raises it: the file or a line is not usable, or a label is none of the teacher's.
    """

    def __init__(self, path: Path, task: Task, tokenizer: TextTokenizer, columns: EvalColumns) -> None:
        self.path = path
        self.sha256 = ""
        self._task = task
        self._tokenizer = tokenizer
        self._columns = columns

    def __iter__(self) -> Iterator[Example]:
        readers: Mapping[str, Callable[[], Iterator[Example]]] = {
            "text-classification": self._classified,
            "token-classification": self._tagged,
            "question-answering": self._questions,
            "fill-mask": self._plain,
        }
        return readers[self._task.name]()

    @property
    def _is_table(self) -> bool:
        return self.path.suffix.lower() in TABLE_SUFFIXES

    def _texts(self) -> Iterator[str]:
        stream = TextStream(self.path, self._columns)
        yield from stream
        self.sha256 = stream.sha256

    def _plain(self) -> Iterator[Example]:
        for text in self._texts():
            for window in self._pieces(text):
                yield Example(window.input_ids, np.empty(0, np.int32))

    def _pieces(self, text: str) -> tuple[Window, ...]:
        """The text in pieces without overlap, each with its special tokens."""
        segment = self._tokenizer.read(text)
        size = self._tokenizer.max_length - self._tokenizer.special_tokens(1)
        return self._tokenizer.slide([segment], 0, size=size, overlap=0) if len(segment) else ()

    def _classified(self) -> Iterator[Example]:
        if not self._is_table:
            for text in self._texts():
                yield self._classified_text(text, None, UNLABELLED)
            return
        file = TextFile(self.path, "", "")
        lines = LineStream(file)
        table = table_of(file, lines.read())
        first, second = find_texts(table, self._columns.text, self._columns.pair)
        label = self._label_column(table)
        if len({first, second, label} - {None}) < 1 + (second is not None) + (label is not None):
            raise table.file.error(1, f"text, pair and label must be different columns: {first}, {second}, {label}.")
        assert self._task.problem_type is not None
        reader = LabelReader(self._task.labels, self._task.problem_type, table.file)
        for row in table.rows:
            pair = None if second is None else row_text(table.file, row, second)
            answer = UNLABELLED
            if label is not None:
                read = reader.read(row.line, label, field(row, label, fail_at(table.file, row.line)))
                assert isinstance(read, int)
                answer = read
            yield self._classified_text(row_text(table.file, row, first), pair, answer)
        self.sha256 = lines.sha256

    def _classified_text(self, text: str, pair: str | None, label: int) -> Example:
        window = self._tokenizer.encode(text, pair, truncation=True)[0]
        return Example(window.input_ids, np.array([label], np.int32))

    def _label_column(self, table: Table) -> str | None:
        wanted = self._columns.label
        if wanted is not None and wanted not in table.columns:
            raise table.file.error(1, f"no column {wanted!r}.", f"The columns are {', '.join(table.columns)}.")
        found = [name for name in table.columns if name.lower() in _LABEL_COLUMNS]
        if wanted is None and len(found) > 1:
            raise table.file.error(
                1, f"columns {', '.join(found)} could all be the label.", "Name the one to use (--label-column)."
            )
        return wanted or (found[0] if found else None)

    def _tagged(self) -> Iterator[Example]:
        if self._is_table:
            for text in self._texts():
                yield from self._tagged_text(text, ())
            return
        self._columns.refuse(self.path, "CoNLL columns have no names")
        sentences = load_conll(self.path, self._task.labels)
        for text, words in zip(sentences.inputs, sentences.labels, strict=True):
            yield from self._tagged_text(text, words)
        self.sha256 = sentences.sha256

    def _tagged_text(self, text: str, words: tuple[TaggedWord, ...]) -> Iterator[Example]:
        """Of each word the first token has its tag, the others none, as models are trained and scored."""
        starts = {start: self._task.labels.index(tag) for start, _, tag in words}
        for window in self._pieces(text):
            labels = np.full(len(window.input_ids), UNLABELLED, np.int32)
            for place, span in enumerate(window.offsets):
                if span is not None:
                    labels[place] = starts.pop(span[1], UNLABELLED)
            yield Example(window.input_ids, labels)

    def _questions(self) -> Iterator[Example]:
        self._columns.refuse(self.path, "SQuAD's keys are fixed")
        handler = open_task(self._task)
        options = handler.parse_options(max_seq_len=self._tokenizer.max_length)
        questions = QuestionFile(self.path)
        for number, (item, span) in enumerate(questions, start=1):
            fail = fail_at(TextFile(self.path, "", ""), None, f"question {number}")
            for window in self._windows(handler, item, options, fail):
                yield Example(window.input_ids, _answer_tokens(window, span))
        self.sha256 = questions.sha256

    def _windows(self, handler: Any, item: object, options: object, fail: Fail) -> tuple[Window, ...]:  # noqa: ANN401
        try:
            windows: tuple[Window, ...] = handler.prepare(self._tokenizer, item, options).windows
        except InputError as error:
            raise fail(error.message) from error
        return windows


def _answer_tokens(window: Window, span: tuple[int, int] | None) -> NDArray[np.int32]:
    """The first and last token of the answer; the window's first token where it has not all of it, as is customary."""
    if span is None:
        return np.zeros(2, np.int32)
    touched = [
        place
        for place, found in enumerate(window.offsets)
        if found is not None and found[0] == 1 and found[2] > span[0] and found[1] < span[1]
    ]
    if not touched:
        return np.zeros(2, np.int32)
    begin, end = window.offsets[touched[0]], window.offsets[touched[-1]]
    whole = begin is not None and end is not None and begin[1] <= span[0] and end[2] >= span[1]
    return np.array([touched[0], touched[-1]] if whole else [0, 0], np.int32)


def check_files(files: list[Path]) -> None:
    """Raises ``DataError`` for no file, or one that is given twice."""
    for position, path in enumerate(files):
        if path in files[:position]:
            raise DataError(f"{path} is given twice.", hint="Name each file of the training data once.")
