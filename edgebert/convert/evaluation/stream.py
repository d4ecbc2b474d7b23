"""Texts of a corpus of any size, one after the other, in constant memory."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from edgebert.convert.evaluation.lines import LineStream
from edgebert.convert.evaluation.tables import TABLE_SUFFIXES, TextFile, table_of
from edgebert.convert.evaluation.texts import EvalColumns, find_texts, row_text


class TextStream:
    """The texts of a file: a table's text column (of pairs both texts), else its lines that are not blank.

    ``.tsv``, ``.csv`` and ``.jsonl`` are tables, as for ``edgebert.convert.evaluation.tables.read_table``; any other
    file is plain UTF-8 text. It is read anew each time it is iterated over.

    Args:
        path: the file.
        columns: the columns of the text and of its partner; found among the usual names by default. They can be named
            for tables alone.

    Attributes:
        texts: how many texts it has given since the iteration began.

    Raises:
        DataError: iterating raises it: the file cannot be read, is empty or not UTF-8, a row is not usable, or a line
            is longer than ``lines.MAX_LINE_BYTES``; the message names the file and the line.
    """

    def __init__(self, path: Path, columns: EvalColumns) -> None:
        self.path = path
        self.texts = 0
        self._columns = columns
        self._file = TextFile(path, "", "")
        self._lines = LineStream(self._file)

    @property
    def sha256(self) -> str:
        """The SHA-256 of the file's bytes, lower-case hex, after it was read to its end; else empty."""
        return self._lines.sha256

    def __iter__(self) -> Iterator[str]:
        self.texts = 0
        for text in self._texts():
            self.texts += 1
            yield text

    def _texts(self) -> Iterator[str]:
        if self.path.suffix.lower() not in TABLE_SUFFIXES:
            self._columns.refuse(self.path, "its lines are the texts")
            yield from (line.rstrip("\r\n") for line in self._lines.read() if line.strip())
            return
        table = table_of(self._file, self._lines.read())
        names = [name for name in find_texts(table, self._columns.text, self._columns.pair) if name is not None]
        empty = True
        for row in table.rows:
            empty = False
            yield from (row_text(self._file, row, name) for name in names)
        if empty:
            raise self._file.error(None, "a header and no rows.")
