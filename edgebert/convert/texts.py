"""Evaluation and calibration files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import cast

from edgebert.convert.labels import LabelReader
from edgebert.convert.tables import TABLE_SUFFIXES, Row, Table, TextFile, read_table, read_text, split_lines
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

_Labels = list[int] | list[list[int]] | list[float] | list[tuple[TaggedWord, ...]]


@dataclass(frozen=True, slots=True)
class EvalSet:
    """Labelled texts.

    Attributes:
        inputs: a text, or a pair of texts, per example.
        labels: per example a class index (``single_label_classification``), the sorted indices of the classes that
            apply (``multi_label_classification``), a number (``regression``), or tagged words (token classification).
        path: the file, as given.
        sha256: the SHA-256 of the file's bytes, lower-case hex (of the whole file, also with a limit).
    """

    inputs: list[str | tuple[str, str]]
    labels: _Labels
    path: str
    sha256: str


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
    if limit is not None and limit < 1:
        raise DataError(f"The limit of rows must be at least 1, is {limit}.", hint="Give a larger one, or none.")
    table = read_table(path)
    text, pair = _find_texts(table, text_column, pair_column)
    label = _find_label(table, label_column)
    if len({text, pair, label}) < 3:
        raise table.file.error(
            1, f"text, pair and label must be different columns, are {text!r}, {pair!r} and {label!r}."
        )
    reader = LabelReader(labels, problem_type, table.file)
    inputs: list[str | tuple[str, str]] = []
    answers: list[int | list[int] | float] = []
    for row in islice(table.rows, limit):
        first = _text(table.file, row, text)
        inputs.append(first if pair is None else (first, _text(table.file, row, pair)))
        answers.append(reader.read(row.line, label, _value(table.file, row, label)))
    if not inputs:
        raise table.file.error(None, "a header and no rows.")
    return EvalSet(inputs, cast(_Labels, answers), str(path), table.file.sha256)


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
        columns = [column for column in _find_texts(table, None, None) if column is not None]
        texts = [_text(table.file, row, column) for row in table.rows for column in columns]
    else:
        texts = [line for line in split_lines(read_text(path).text) if line.strip()]
    if len(texts) < MIN_CALIBRATION_TEXTS:
        raise DataError(
            f"{path}: {len(texts)} texts; calibration needs at least {MIN_CALIBRATION_TEXTS}.",
            hint="Give a few hundred texts like those that the model will see.",
        )
    return texts


def _find_texts(table: Table, text: str | None, pair: str | None) -> tuple[str, str | None]:
    """The columns of the text and of its partner, if there is one."""
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


def _value(file: TextFile, row: Row, column: str) -> object:
    if column not in row.values:
        raise file.error(row.line, f"no {column!r}; it has {', '.join(map(repr, row.values)) or 'nothing'}.")
    return row.values[column]


def _text(file: TextFile, row: Row, column: str) -> str:
    value = _value(file, row, column)
    if not isinstance(value, str):
        raise file.error(row.line, f"{column!r} must be text, is {value!r}.")
    if not value.strip():
        raise file.error(row.line, f"{column!r} is empty.", "Remove the row.")
    if any("\ud800" <= character <= "\udfff" for character in value):
        raise file.error(row.line, f"{column!r} holds half of a surrogate pair, which is no character.")
    return value
