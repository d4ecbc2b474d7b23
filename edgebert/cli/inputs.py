"""The inputs of ``edgebert predict``: texts on the command line, or lines of a file or of standard input."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import click

from edgebert.errors import DataError


class Lines:
    """The inputs in a file of lines: texts, or one JSON value a line. Knows where the last one stands."""

    def __init__(self, stream: IO[bytes], name: str) -> None:
        self._stream = stream
        self._name = name
        self._number = 0

    @property
    def place(self) -> str:
        """File and line of the last input."""
        return f"{self._name}, line {self._number}"

    def __iter__(self) -> Iterator[object]:
        jsonl = self._name.endswith(".jsonl")
        for data in self._stream:
            self._number += 1
            try:
                line = data.decode("utf-8-sig" if self._number == 1 else "utf-8").rstrip("\r\n")
            except UnicodeDecodeError as error:
                raise DataError(
                    f"{self.place}: not UTF-8 at byte {error.start + 1}.", hint="Save the file as UTF-8."
                ) from error
            yield self._parse(line) if jsonl else line

    def _parse(self, line: str) -> object:
        hint = 'A line is "a text" or {"text": "a text", "text_pair": "its pair"}.'
        try:
            value: object = json.loads(line)
        except (ValueError, RecursionError) as error:
            # Of a JSONDecodeError the reason and the column: the line that it knows of is always the first.
            reason = f"{error.msg} at column {error.colno}" if isinstance(error, json.JSONDecodeError) else str(error)
            raise DataError(f"{self.place}: not JSON: {reason}.", hint=hint) from error
        if isinstance(value, str):
            return value
        if isinstance(value, dict) and "text" in value and value.keys() <= {"text", "text_pair"}:
            return value
        raise DataError(f'{self.place}: neither a text nor an object with "text".', hint=hint)


class Arguments:
    """The inputs on the command line."""

    def __init__(self, texts: tuple[str, ...]) -> None:
        self._texts = texts
        self._number = 0

    @property
    def place(self) -> str:
        """Which text was the last."""
        return f"Text {self._number}"

    def __iter__(self) -> Iterator[object]:
        for text in self._texts:
            self._number += 1
            yield text


def open_lines(file: Path | None, stack: contextlib.ExitStack) -> Lines:
    """Open a file of inputs, or standard input for ``None`` and ``-``; ``stack`` closes it.

    Raises:
        DataError: the file cannot be read, or standard input is closed.
    """
    if file is not None and str(file) != "-":
        try:
            return Lines(stack.enter_context(file.open("rb")), str(file))
        except OSError as error:
            raise DataError(
                f"{file}: cannot be read ({error.strerror}).", hint="Check the path and its permissions."
            ) from error
    if sys.stdin is None:
        raise DataError("Standard input is closed.", hint="Give texts, or --file.")
    if sys.stdin.isatty():
        click.echo("Reading texts from the terminal, one a line; end with Ctrl-D.", err=True)
    return Lines(sys.stdin.buffer, "standard input")
