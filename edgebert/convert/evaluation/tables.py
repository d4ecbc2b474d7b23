"""Rows of TSV, CSV and JSONL files, with the line each one stands on.

TSV is GLUE's: a header, fields split at tabs, no quoting. CSV is RFC 4180. JSONL is one object per line. All are UTF-8;
a byte order mark and CRLF line ends are accepted. Empty lines at the end of a file are accepted, elsewhere they are
errors: a row that was lost should not go unnoticed.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, NoReturn

from edgebert.errors import DataError

TABLE_SUFFIXES = (".tsv", ".csv", ".jsonl")


@dataclass(frozen=True, slots=True)
class TextFile:
    """A file in memory: its path, its text without a byte order mark, and the SHA-256 of its bytes."""

    path: Path
    text: str
    sha256: str

    def error(self, line: int | None, message: str, hint: str = "") -> DataError:
        """An error that names the file and the line."""
        hint = hint or ("Correct the file." if line is None else "Correct the line.")
        place = str(self.path) if line is None else f"{self.path}, line {line}"
        return DataError(f"{place}: {message}", hint=hint)


@dataclass(frozen=True, slots=True)
class Row:
    """One row: the number of the line it starts on (from 1), and its values by column (text, or any JSON value)."""

    line: int
    values: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Table:
    """A table: its columns in order, and its rows, checked as they are asked for."""

    file: TextFile
    columns: tuple[str, ...]
    rows: Iterator[Row]


def read_text(path: str | Path) -> TextFile:
    """Reads a UTF-8 file. Raises ``DataError`` when it cannot be read, is empty, or is not UTF-8 (naming the line)."""
    path = Path(path)
    try:
        data = path.read_bytes()
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        reason = getattr(error, "strerror", None) or str(error)
        raise DataError(f"{path}: cannot be read ({reason}).", hint="Check the path and its permissions.") from error
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise DataError(
            f"{path}, line {line}: byte 0x{data[error.start]:02x} is not valid UTF-8.", hint="Save the file as UTF-8."
        ) from error
    file = TextFile(path, text, hashlib.sha256(data).hexdigest())
    if not text.strip("\r\n"):
        raise file.error(None, "the file is empty.")
    return file


def read_table(path: str | Path) -> Table:
    """Opens a table; the suffix says the format.

    Raises:
        DataError: unknown suffix, unreadable, not UTF-8, empty, no header or a column twice. Iterating over the rows
            raises it for an empty line, a row with too many or too few fields, and broken quoting or JSON.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in TABLE_SUFFIXES:
        raise DataError(f"{path}: unknown format {suffix!r}.", hint=f"Use one of {', '.join(TABLE_SUFFIXES)}.")
    file = read_text(path)
    # In CSV a line may also end at a CR alone, which the csv module tells from one in a quoted text.
    return table_of(file, io.StringIO(file.text, newline="" if suffix == ".csv" else "\n"))


def table_of(file: TextFile, lines: Iterable[str]) -> Table:
    """A table whose lines come one by one; the file's suffix, one of :data:`TABLE_SUFFIXES`, says the format.

    Args:
        file: the file, for errors; its text is not looked at.
        lines: its lines with their ends, in order; at least one is not empty.

    Raises:
        DataError: as :func:`read_table`, save for what concerns reading.
    """
    suffix = file.path.suffix.lower()
    if suffix == ".jsonl":
        return _read_jsonl(file, lines)
    records = _tsv_records(file, lines) if suffix == ".tsv" else _csv_records(file, lines)
    line, header = next(records)
    columns = tuple(name.strip() for name in header)
    for name in columns:
        if not name:
            raise file.error(line, f"a column of the header has no name: {list(columns)}.")
        if columns.count(name) > 1:
            raise file.error(line, f"the header has column {name!r} twice.")
    return Table(file, columns, _rows(file, columns, records))


def split_lines(text: str) -> list[str]:
    """The lines of a text, split at LF or CRLF only (``str.splitlines`` also splits inside texts), end lines cut."""
    lines = [line.removesuffix("\r") for line in text.split("\n")]
    while lines and not lines[-1]:
        lines.pop()
    return lines


def _rows(file: TextFile, columns: tuple[str, ...], records: Iterator[tuple[int, list[str]]]) -> Iterator[Row]:
    for line, fields in records:
        if len(fields) != len(columns):
            raise file.error(
                line,
                f"{len(fields)} fields, the header has {len(columns)}: {', '.join(columns)}.",
                "In TSV a text cannot hold a tab."
                if file.path.suffix.lower() == ".tsv"
                else "Quote texts with commas.",
            )
        yield Row(line, dict(zip(columns, fields, strict=True)))


def _tsv_records(file: TextFile, lines: Iterable[str]) -> Iterator[tuple[int, list[str]]]:
    for line, content in _contents(file, lines):
        yield line, content.split("\t")


def _contents(file: TextFile, lines: Iterable[str]) -> Iterator[tuple[int, str]]:
    """Number and content of each line, split at LF or CRLF only, without the empty ones at the end."""
    empty: int | None = None
    for number, line in enumerate(lines, start=1):
        content = line.removesuffix("\n").removesuffix("\r")
        if not content:
            empty = empty or number
        elif empty:
            raise file.error(empty, "the line is empty.")
        else:
            yield number, content


def _csv_records(file: TextFile, lines: Iterable[str]) -> Iterator[tuple[int, list[str]]]:
    reader = csv.reader(lines, strict=True)
    empty: int | None = None
    while True:
        line = reader.line_num + 1
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise file.error(line, f"not valid CSV: {error}.") from error
        if not fields:
            empty = empty or line
        elif empty:
            raise file.error(empty, "the line is empty.")
        else:
            yield line, fields


def _read_jsonl(file: TextFile, lines: Iterable[str]) -> Table:
    objects = (Row(line, _parse_object(file, line, content)) for line, content in _contents(file, lines))
    first = next(objects)
    return Table(file, tuple(first.values), chain([first], objects))


def _parse_object(file: TextFile, line: int, content: str) -> dict[str, Any]:
    if not content.strip():
        raise file.error(line, "the line is empty.")
    try:
        value = json.loads(content, object_pairs_hook=_unique, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        # Of a JSONDecodeError the reason and the column: the line that it knows of is always the first.
        reason = f"{error.msg} at column {error.colno}" if isinstance(error, json.JSONDecodeError) else str(error)
        raise file.error(line, f"not valid JSON: {reason}.") from error
    if not isinstance(value, dict):
        raise file.error(line, f"must hold a JSON object, holds {type(value).__name__}.")
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    keys = [key for key, _ in pairs]
    for key in keys:
        if keys.count(key) > 1:
            raise ValueError(f"key {key!r} appears twice")
    return dict(pairs)


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")
