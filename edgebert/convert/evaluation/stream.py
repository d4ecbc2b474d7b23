"""Texts of a corpus of any size, one after the other, in constant memory."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

from edgebert.convert.evaluation.tables import TABLE_SUFFIXES, TextFile, table_of
from edgebert.convert.evaluation.texts import EvalColumns, find_texts, row_text
from edgebert.errors import DataError

MAX_LINE_BYTES = 64 << 20
"""The longest line that is read, so that a file without line ends is refused instead of filling the memory."""


class TextStream:
    """The texts of a file: a table's text column (of pairs both texts), else its lines that are not blank.

    ``.tsv``, ``.csv`` and ``.jsonl`` are tables, as for ``edgebert.convert.evaluation.tables.read_table``; any other
    file is plain UTF-8 text. It is read anew each time it is iterated over.

    Args:
        path: the file.
        columns: the columns of the text and of its partner; found among the usual names by default. They can be named
            for tables alone.

    Attributes:
        sha256: the SHA-256 of the file's bytes, lower-case hex, after it was read to its end; else empty.
        texts: how many texts it has given since the iteration began.

    Raises:
        DataError: iterating raises it: the file cannot be read, is empty or not UTF-8, a row is not usable, or a line
            is longer than :data:`MAX_LINE_BYTES`; the message names the file and the line.
    """

    def __init__(self, path: Path, columns: EvalColumns) -> None:
        self.path = path
        self.sha256 = ""
        self.texts = 0
        self._columns = columns
        self._file = TextFile(path, "", "")

    def __iter__(self) -> Iterator[str]:
        self.sha256, self.texts = "", 0
        for text in self._texts():
            self.texts += 1
            yield text

    def _texts(self) -> Iterator[str]:
        lines = self._lines()
        # The empty lines at the beginning go back before the first other one, which must be there.
        start = []
        for line in lines:
            start.append(line)
            if line.strip("\r\n"):
                break
        else:
            raise self._file.error(None, "the file is empty.")
        everything = chain(start, lines)
        if self.path.suffix.lower() not in TABLE_SUFFIXES:
            self._columns.refuse(self.path, "its lines are the texts")
            yield from (line.rstrip("\r\n") for line in everything if line.strip())
            return
        table = table_of(self._file, everything)
        names = [name for name in find_texts(table, self._columns.text, self._columns.pair) if name is not None]
        empty = True
        for row in table.rows:
            empty = False
            yield from (row_text(self._file, row, name) for name in names)
        if empty:
            raise self._file.error(None, "a header and no rows.")

    def _lines(self) -> Iterator[str]:
        """The lines with their ends; hashes them."""
        digest = hashlib.sha256()
        try:
            with self.path.open("rb") as file:
                number = 0
                while data := file.readline(MAX_LINE_BYTES + 1):
                    number += 1
                    if len(data) > MAX_LINE_BYTES:
                        raise self._file.error(
                            number, f"longer than {MAX_LINE_BYTES >> 20} MiB.", "Break it into texts."
                        )
                    digest.update(data)
                    yield self._decoded(data, number)
        except (OSError, ValueError) as error:  # ValueError: a NUL in the path
            reason = getattr(error, "strerror", None) or str(error)
            raise DataError(
                f"{self.path}: cannot be read ({reason}).", hint="Check the path and its permissions."
            ) from error
        self.sha256 = digest.hexdigest()

    def _decoded(self, data: bytes, number: int) -> str:
        try:
            return data.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError as error:
            raise self._file.error(
                number, f"byte 0x{data[error.start]:02x} is not valid UTF-8.", "Save the file as UTF-8."
            ) from error
