"""The rows of a table of any size, one after the other, in constant memory."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

from edgebert.convert.evaluation.stream import MAX_LINE_BYTES
from edgebert.convert.evaluation.tables import Table, TextFile, table_of
from edgebert.errors import DataError


class RowStream:
    """A table (``.tsv``, ``.csv``, ``.jsonl``) that is read as its rows are asked for.

    Attributes:
        sha256: the SHA-256 of the file's bytes, lower-case hex, after the rows were read to their end; else empty.
    """

    def __init__(self, path: Path) -> None:
        self.sha256 = ""
        self._file = TextFile(path, "", "")

    def table(self) -> Table:
        """The table. Its rows raise ``DataError`` as they are read.

        Raises:
            DataError: the file cannot be read, is empty, or its header is not usable.
        """
        lines = self._lines()
        for line in lines:
            if line.strip("\r\n"):
                return table_of(self._file, _chained(line, lines))
        raise self._file.error(None, "the file is empty.")

    def _lines(self) -> Iterator[str]:
        digest = hashlib.sha256()
        path = self._file.path
        try:
            with path.open("rb") as file:
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
                f"{path}: cannot be read ({reason}).", hint="Check the path and its permissions."
            ) from error
        self.sha256 = digest.hexdigest()

    def _decoded(self, data: bytes, number: int) -> str:
        try:
            return data.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError as error:
            raise self._file.error(
                number, f"byte 0x{data[error.start]:02x} is not valid UTF-8.", "Save the file as UTF-8."
            ) from error


def _chained(first: str, rest: Iterator[str]) -> Iterator[str]:
    yield first
    yield from rest
