"""The lines of a file of any size, one after the other, in constant memory."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from edgebert.convert.evaluation.tables import TextFile
from edgebert.errors import DataError

MAX_LINE_BYTES = 64 << 20
"""The longest line that is read, so that a file without line ends is refused instead of filling the memory."""


class LineStream:
    """The lines of a file.

    Attributes:
        sha256: the SHA-256 of the file's bytes, lower-case hex, after the lines were read to their end; else empty.
    """

    def __init__(self, file: TextFile) -> None:
        self.sha256 = ""
        self._file = file

    def read(self) -> Iterator[str]:
        """The lines from the first on, with their ends; those that are blank at the beginning as well.

        Raises:
            DataError: the file cannot be read, is not UTF-8, has no line that is not blank, or one that is longer than
                :data:`MAX_LINE_BYTES`; the message names the file and the line.
        """
        self.sha256 = ""
        digest = hashlib.sha256()
        path, number, empty = self._file.path, 0, True
        try:
            with path.open("rb") as file:
                start: list[str] = []
                while data := file.readline(MAX_LINE_BYTES + 1):
                    number += 1
                    if len(data) > MAX_LINE_BYTES:
                        raise self._file.error(
                            number, f"longer than {MAX_LINE_BYTES >> 20} MiB.", "Break it into texts."
                        )
                    digest.update(data)
                    line = self._decoded(data, number)
                    if empty:
                        # Those at the beginning are given when it is known that there are others.
                        start.append(line)
                        if not line.strip("\r\n"):
                            continue
                        empty = False
                        yield from start
                        start.clear()
                    else:
                        yield line
        except (OSError, ValueError) as error:  # ValueError: a NUL in the path
            reason = getattr(error, "strerror", None) or str(error)
            raise DataError(
                f"{path}: cannot be read ({reason}).", hint="Check the path and its permissions."
            ) from error
        if empty:
            raise self._file.error(None, "the file is empty.")
        self.sha256 = digest.hexdigest()

    def _decoded(self, data: bytes, number: int) -> str:
        try:
            return data.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError as error:
            raise self._file.error(
                number, f"byte 0x{data[error.start]:02x} is not valid UTF-8.", "Save the file as UTF-8."
            ) from error
