"""Evaluation and calibration files."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from edgebert.convert.evaluation.fields import check_limit, checked_text, fail_at, field
from edgebert.convert.evaluation.labels import LabelReader
from edgebert.convert.evaluation.tables import TABLE_SUFFIXES, Row, Table, TextFile, read_table, read_text, split_lines
from edgebert.errors import DataError

MIN_CALIBRATION_TEXTS = 8

_TEXT_COLUMNS = ("sentence", "text", "content", "review")
_PAIR_COLUMNS = (
    ("sentence1", "sentence2"),
    ("question", "sentence2"),
    ("question", "sentence"),
    ("question1", "question2"),
    ("premise", "hypothesis"),
    ("text", "text_pair"),
)
_LABEL_COLUMNS = ("label", "labels", "target", "score")

TaggedWord = tuple[int, int, str]
"""A word of a text: the character it starts at, the one after its end, and its right tag."""


@dataclasses.dataclass(frozen=True, slots=True)
class EvalColumns:
    """Columns of an evaluation file; ``None`` finds them among the usual names."""

    text: str | None = None
    pair: str | None = None
    label: str | None = None

    def refuse(self, path: str | Path, reason: str) -> None:
        """Raises ``DataError`` when a column is named, for a form of file where none can be."""
        if self != EvalColumns():
            raise DataError(f"{path}: no column can be named here: {reason}.", hint="Leave the column options out.")


@dataclasses.dataclass(frozen=True, slots=True)
class EvalSet:
    """Inputs with their right answers.

    Attributes:
        inputs: inputs of the task.
        labels: the right answers, in the form that the reader of the task says.
        path: the file, as given.
        sha256: the SHA-256 of the file's bytes, lower-case hex (of the whole file, also with a limit).
        options: options of the task that come with the file.
    """

    inputs: list[Any]
    labels: list[Any]
    path: str
    sha256: str
    options: Mapping[str, object] = dataclasses.field(default_factory=dict)


def load_eval(
    path: str | Path,
    labels: Sequence[str],
    *,
    problem_type: str,
    text_column: str | None = None,
    pair_column: str | None = None,
    label_column: str | None = None,
    limit: int | None = None,
) -> EvalSet:
    """Reads an evaluation file: TSV (GLUE's form), CSV or JSONL, by its suffix.

    A label is a class name (letter case matters only where names differ by it alone) or a class index; where a name
    itself is a whole number, only names count. With several labels per text, a JSON array or the names or indices
    separated by commas, nothing where none applies. For regression, a number.

    Args:
        path: the file; ``.tsv``, ``.csv`` or ``.jsonl``.
        labels: the model's class names by index.
        problem_type: one of ``edgebert.bundle.schema.PROBLEM_TYPES``.
        text_column: column of the (first) text; found among the usual names by default.
        pair_column: column of the second text; by default the usual partner of the text column, if there is one.
        label_column: column of the label; found among the usual names by default.
        limit: read no more than this many rows; what follows is not looked at.

    Raises:
        DataError: the file, a row or a label is not usable; the message names the path, the line, what was found and
            what is allowed.
    """
    check_limit(limit)
    table = read_table(path)
    text, pair = find_texts(table, text_column, pair_column)
    label = _find_label(table, label_column)
    if len({text, pair, label}) < 3:
        raise table.file.error(
            1, f"text, pair and label must be different columns, are {text!r}, {pair!r} and {label!r}."
        )
    reader = LabelReader(labels, problem_type, table.file)
    inputs: list[Any] = []
    answers: list[Any] = []
    for row in islice(table.rows, limit):
        first = row_text(table.file, row, text)
        inputs.append(first if pair is None else (first, row_text(table.file, row, pair)))
        answers.append(reader.read(row.line, label, field(row, label, fail_at(table.file, row.line))))
    if not inputs:
        raise table.file.error(None, "a header and no rows.")
    return EvalSet(inputs, answers, str(path), table.file.sha256)


def load_named(
    path: str | Path, *, text_column: str | None = None, label_column: str | None = None, limit: int | None = None
) -> tuple[EvalSet, tuple[str, ...]]:
    """Reads texts with the name of a class each: TSV, CSV or JSONL, for a model that has no classes of its own.

    Returns:
        Texts with class indices, and the classes' names in the order in which they first appear.

    Raises:
        DataError: as :func:`load_eval`.
    """
    check_limit(limit)
    table = read_table(path)
    column, _ = find_texts(table, text_column, None)
    label = _find_label(table, label_column)
    rows = [(row_text(table.file, row, column), row_text(table.file, row, label)) for row in islice(table.rows, limit)]
    names = tuple(dict.fromkeys(name for _, name in rows))
    if len(names) < 2:
        raise table.file.error(None, f"{len(names)} different labels; there must be at least two to choose from.")
    return EvalSet([text for text, _ in rows], [names.index(n) for _, n in rows], str(path), table.file.sha256), names


def load_calibration(path: str | Path | None) -> list[str]:
    """Reads the texts to calibrate quantization with.

    Args:
        path: a TSV, CSV or JSONL file with a text column (of a pair, both texts are taken), or any other file as plain
            UTF-8 text, one text per line, blank lines skipped; ``None`` for the set that comes with EdgeBERT.

    Raises:
        DataError: the file is not usable, or holds fewer than ``MIN_CALIBRATION_TEXTS`` texts.
    """
    if path is None:
        from edgebert.assets import calibration_texts

        return list(calibration_texts())
    if Path(path).suffix.lower() in TABLE_SUFFIXES:
        table = read_table(path)
        columns = [column for column in find_texts(table, None, None) if column is not None]
        texts = [row_text(table.file, row, column) for row in table.rows for column in columns]
    else:
        texts = [line for line in split_lines(read_text(path).text) if line.strip()]
    if len(texts) < MIN_CALIBRATION_TEXTS:
        raise DataError(
            f"{path}: {len(texts)} texts; calibration needs at least {MIN_CALIBRATION_TEXTS}.",
            hint="Give a few hundred texts like those that the model will see.",
        )
    return texts


def find_texts(table: Table, text: str | None, pair: str | None) -> tuple[str, str | None]:
    """The columns of the text and of its partner, if there is one; each named, or found among the usual names.

    Raises:
        DataError: there is no such column, or several could be the one.
    """
    for wanted in (text, pair):
        if wanted is not None and wanted not in table.columns:
            raise _no_column(table, f"no column {wanted!r}")
    if text is not None:
        return text, pair
    if pair is not None:
        firsts = dict.fromkeys(first for first, _ in _PAIR_COLUMNS)
        return _only(table, [*firsts, *_TEXT_COLUMNS], "text", besides=pair), pair
    named = {column.lower(): column for column in table.columns}
    for first, second in _PAIR_COLUMNS:
        if first in named and second in named:
            return named[first], named[second]
    return _only(table, _TEXT_COLUMNS, "text"), None


def _find_label(table: Table, label: str | None) -> str:
    if label is None:
        return _only(table, _LABEL_COLUMNS, "label")
    if label not in table.columns:
        raise _no_column(table, f"no column {label!r}")
    return label


def _only(table: Table, usual: Sequence[str], what: str, *, besides: str | None = None) -> str:
    """The one column with a usual name, in whatever letter case."""
    found = [column for column in table.columns if column.lower() in usual and column != besides]
    if len(found) > 1:
        raise table.file.error(
            1, f"columns {', '.join(found)} could all be the {what}.", f"Name the one to use (--{what}-column)."
        )
    if not found:
        raise _no_column(table, f"no {what} column (looked for {', '.join(usual)})")
    return found[0]


def _no_column(table: Table, message: str) -> DataError:
    shown = ", ".join(repr(column[:40]) for column in table.columns[:10])
    return table.file.error(
        1,
        f"{message}; the columns are {shown}.",
        "Is the header missing? Otherwise name the columns (--text-column, --label-column).",
    )


def row_text(file: TextFile, row: Row, column: str) -> str:
    """The text in a row's column. Raises ``DataError`` where there is none, or one that is blank or no Unicode."""
    fail = fail_at(file, row.line)
    return checked_text(field(row, column, fail), repr(column), fail)
